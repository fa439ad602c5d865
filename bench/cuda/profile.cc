// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/profile.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <random>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace thriftattn::bench {
namespace {

constexpr double kHeavy = 0.05;
constexpr int kSamples = 20000;
constexpr std::int64_t kBlock = 64;

// Normal numbers of some blocks: the fixed part, two steps' parts, and whether it is a light one.
struct Samples {
  std::vector<double> fixed, now, next, gap;
};

Samples draw(const SyntheticProfile& profile) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Samples s;
  for (int i = 0; i < kSamples; ++i) {
    s.fixed.push_back(normal(random));
    s.now.push_back(normal(random));
    s.next.push_back(normal(random));
    const bool light = uniform(random) >= static_cast<double>(profile.heavy_share);
    s.gap.push_back(light ? static_cast<double>(profile.light_gap / profile.deviation) : 0);
  }
  return s;
}

std::vector<bool> heaviest(const std::vector<double>& logs) {
  std::vector<double> sorted = logs;
  const auto cut = sorted.begin() + static_cast<std::ptrdiff_t>(kHeavy * kSamples);
  std::nth_element(sorted.begin(), cut, sorted.end(), std::greater<>());
  std::vector<bool> heavy(logs.size());
  for (std::size_t i = 0; i < logs.size(); ++i) heavy[i] = logs[i] > *cut;
  return heavy;
}

double turnover_of(const Samples& s, double fixed) {
  const double step = std::sqrt(1 - fixed * fixed);
  std::vector<double> a(kSamples), b(kSamples);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = std::fabs(fixed) * s.fixed[i] + step * s.now[i] - s.gap[i];
    b[i] = fixed * s.fixed[i] + step * s.next[i] - s.gap[i];
  }
  const std::vector<bool> x = heaviest(a), y = heaviest(b);
  int both = 0;
  for (std::size_t i = 0; i < x.size(); ++i) both += x[i] && y[i] ? 1 : 0;
  return 1 - both / (kHeavy * kSamples);
}

// From what is recorded of Gemma-3-270m (0) to what is of SmolLM2 (1): those two exactly.
SyntheticProfile profile_at(float way) {
  const auto at = [way](float gemma, float smollm) { return std::lerp(gemma, smollm, way); };
  return {.sink = at(0.231f, 0.255f),
          .own = at(0.159f, 0.324f),
          .deviation = at(1.344f, 1.514f),
          .heavy_share = at(0.635f, 0.398f),
          .light_gap = at(3.95f, 5.735f),
          .row_spread = at(0.292f, 0.22f),
          .turnover = at(0.29f, 0.178f)};
}

}  // namespace

SyntheticProfile profile_named(const std::string& name) {
  if (name == "gemma3-270m") return profile_at(0);
  if (name == "smollm2") return profile_at(1);
  float way = 0;
  const char* end = name.data() + name.size();
  const auto [read, error] = std::from_chars(name.data(), end, way);
  if (error == std::errc() && read == end && way >= 0 && way <= 1) return profile_at(way);
  throw std::invalid_argument("profile " + name +
                              ": unknown; supported: gemma3-270m, smollm2, or how far from the "
                              "first to the second, 0 to 1");
}

StepMix mix_for_turnover(const SyntheticProfile& profile) {
  if (profile.turnover <= 0) return {1, 0};
  const Samples samples = draw(profile);
  double low = -0.8, high = 1;  // the turnover falls from one to the other
  for (int i = 0; i < 20; ++i) {
    const double middle = (low + high) / 2;
    (turnover_of(samples, middle) > static_cast<double>(profile.turnover) ? low : high) = middle;
  }
  return {static_cast<float>(low), static_cast<float>(std::sqrt(1 - low * low))};
}

RowWeights row_weights(const SyntheticProfile& profile, std::int64_t kv_len, int row, int group) {
  const double share = group > 1 ? 2.0 * row / (group - 1) - 1 : 0;
  const double scale = 1 + static_cast<double>(profile.row_spread) * share;
  const double deviation = scale * static_cast<double>(profile.deviation);
  const double heavy = static_cast<double>(profile.heavy_share);
  const double sink = static_cast<double>(profile.sink), own = static_cast<double>(profile.own);
  const std::int64_t blocks = (kv_len + kBlock - 1) / kBlock;
  const double others = static_cast<double>(std::max<std::int64_t>(blocks - 2, 1) * kBlock);
  const double own_tokens = static_cast<double>(kv_len - (blocks - 1) * kBlock);
  // Log of what all others have together, but for the noise inside a block.
  const double rest = std::log(others) + deviation * deviation / 2 +
                      std::log(heavy + (1 - heavy) * std::exp(-scale * profile.light_gap)) -
                      std::log(1 - sink - own);
  RowWeights weights{0, 0, static_cast<float>(scale)};
  weights.own = static_cast<float>((rest + std::log(own / own_tokens)) / kRowKey);
  for (int i = 0; i < 4; ++i) {  // the sink has no noise, whose size depends on the weights
    const double squares = 2 * scale * scale + weights.sink * weights.sink +
                           static_cast<double>(weights.own) * weights.own;
    const double noise = static_cast<double>(kKeyNoise) * kKeyNoise * squares;
    weights.sink = static_cast<float>((rest + std::log(sink) + noise / 2) / kRowKey);
  }
  return weights;
}

}  // namespace thriftattn::bench
