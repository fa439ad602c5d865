// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The made-up data of the device's benchmarks has the mass profile that it is said to have: its
// logits drawn here, as bench/cuda/synthetic.cu draws them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "cuda/profile.h"
#include "mass_profile.h"

namespace thriftattn::cli {
namespace {

constexpr int kHeads = 24;
constexpr int kSteps = 4;
constexpr int kBlock = 64;

std::vector<double> normals(std::size_t count, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> values(count);
  for (double& x : values) x = normal(random);
  return values;
}

// Masses of one unit, each block's noise inside left out.
UnitMasses draw(const bench::SyntheticProfile& profile, std::size_t blocks, int group,
                std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform;
  const bench::StepMix mix = bench::mix_for_turnover(profile);
  const auto kv_len = static_cast<std::int64_t>(blocks) * kBlock;
  const std::vector<double> fixed = normals(blocks, random);
  std::vector<double> gap(blocks);
  for (double& g : gap) {
    if (uniform(random) >= static_cast<double>(profile.heavy_share)) g = profile.light_gap;
  }
  UnitMasses unit;
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<double> own = normals(blocks, random);
    const double sign = mix.fixed < 0 && step % 2 == 0 ? -1 : 1;
    std::vector<double>& mean = unit.mean.emplace_back(blocks);
    std::vector<double>& largest = unit.largest.emplace_back(blocks);
    for (int row = 0; row < group; ++row) {
      const bench::RowWeights w = bench::row_weights(profile, kv_len, row, group);
      std::vector<double> sums(blocks);
      double total = 0;
      for (std::size_t b = 0; b < blocks; ++b) {
        const double drawn = sign * static_cast<double>(mix.fixed) * fixed[b] +
                             static_cast<double>(mix.step) * own[b];
        sums[b] = kBlock * std::exp(static_cast<double>(w.scale) *
                                    (static_cast<double>(profile.deviation) * drawn - gap[b]));
      }
      const double squares = 2 * w.scale * w.scale + w.sink * w.sink + w.own * w.own;
      const double noise = std::pow(static_cast<double>(bench::kKeyNoise), 2) * squares / 2;
      sums.front() = std::exp(static_cast<double>(bench::kRowKey * w.sink) - noise);
      sums.back() = kBlock * std::exp(static_cast<double>(bench::kRowKey * w.own));
      for (const double sum : sums) total += sum;
      for (std::size_t b = 0; b < blocks; ++b) {
        mean[b] += sums[b] / total / group;
        largest[b] = std::max(largest[b], sums[b] / total);
      }
    }
  }
  return unit;
}

MassProfile drawn(const bench::SyntheticProfile& profile, std::size_t blocks, int group) {
  std::mt19937_64 random(7);
  std::vector<MassProfile> heads;
  for (int i = 0; i < kHeads; ++i) {
    heads.push_back(profile_of(draw(profile, blocks, group, random)));
  }
  return mean_of(heads);
}

// The numbers of docs/results/2026-11-25-mass-profiles.md.
void expect_profile(const MassProfile& p, const MassProfile& recorded) {
  EXPECT_NEAR(p.sink, recorded.sink, 0.03);
  EXPECT_NEAR(p.own, recorded.own, 0.03);
  EXPECT_NEAR(p.share_50, recorded.share_50, 0.01);
  EXPECT_NEAR(p.share_90, recorded.share_90, 0.03);
  EXPECT_NEAR(p.share_99, recorded.share_99, 0.03);
  EXPECT_NEAR(p.share_999, recorded.share_999, 0.03);
  EXPECT_NEAR(p.tail, recorded.tail, 0.03);
  EXPECT_NEAR(p.turnover_1, recorded.turnover_1, 0.04);
}

TEST(SyntheticProfile, IsThatOfTheRecordedModel) {
  MassProfile gemma;
  gemma.sink = 0.238, gemma.own = 0.165, gemma.tail = 0.300, gemma.turnover_1 = 0.290;
  gemma.share_50 = 0.016, gemma.share_90 = 0.254, gemma.share_99 = 0.592, gemma.share_999 = 0.834;
  expect_profile(drawn(bench::profile_named("gemma3-270m"), 512, 4), gemma);
  MassProfile smollm2;
  smollm2.sink = 0.275, smollm2.own = 0.337, smollm2.tail = 0.619, smollm2.turnover_1 = 0.178;
  smollm2.share_50 = 0.021, smollm2.share_90 = 0.112, smollm2.share_99 = 0.312;
  smollm2.share_999 = 0.541;
  expect_profile(drawn(bench::profile_named("smollm2"), 128, 3), smollm2);
}

TEST(SyntheticProfile, TurnsOverAsMuchAsIsAskedFor) {
  for (const char* name : {"gemma3-270m", "smollm2"}) {
    bench::SyntheticProfile profile = bench::profile_named(name);
    for (const float turnover : {0.0f, 0.1f, 0.25f, 0.6f, 1.0f}) {
      profile.turnover = turnover;
      EXPECT_NEAR(drawn(profile, 512, 3).turnover_1, static_cast<double>(turnover), 0.04) << name;
    }
  }
}

TEST(SyntheticProfile, ANumberIsBetweenTheTwo) {
  double tail = 0;
  for (const char* way : {"0", "0.25", "0.5", "1"}) {
    const double steeper = drawn(bench::profile_named(way), 512, 4).tail;
    EXPECT_GT(steeper, tail + 0.03) << way;
    tail = steeper;
  }
  EXPECT_EQ(bench::profile_named("0").light_gap, bench::profile_named("gemma3-270m").light_gap);
  EXPECT_EQ(bench::profile_named("1").turnover, bench::profile_named("smollm2").turnover);
}

TEST(SyntheticProfile, NamesWhatItKnows) {
  for (const char* name : {"gpt", "", "-0.1", "1.1", "nan", "0.5x", " 0.5"}) {
    EXPECT_THROW(bench::profile_named(name), std::invalid_argument) << name;
  }
}

}  // namespace
}  // namespace thriftattn::cli
