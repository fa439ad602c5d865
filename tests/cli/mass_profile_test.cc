// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "mass_profile.h"

#include <gtest/gtest.h>

#include "layer_profile.h"

namespace thriftattn::cli {
namespace {

TEST(MassProfile, CountsBlocksThatHoldTheMass) {
  const std::vector<double> masses = {0.4, 0.002, 0.3, 0.003, 0.195, 0.0, 0.0, 0.1};
  const MassProfile p = profile_of(UnitMasses{{masses}, {masses}});
  EXPECT_DOUBLE_EQ(p.sink, 0.4);
  EXPECT_DOUBLE_EQ(p.own, 0.1);
  EXPECT_DOUBLE_EQ(p.share_50, 2.0 / 8);
  EXPECT_DOUBLE_EQ(p.share_90, 4.0 / 8);  // .4 .3 .195 .1
  EXPECT_DOUBLE_EQ(p.share_99, 4.0 / 8);
  EXPECT_DOUBLE_EQ(p.share_999, 6.0 / 8);
  EXPECT_DOUBLE_EQ(p.tail, 4.0 / 8);  // 0 0 .002 .003
  EXPECT_DOUBLE_EQ(p.turnover_1, 0.0);
}

TEST(MassProfile, TailGoesByTheLargestMassOfTheRows) {
  const std::vector<double> mean = {0.9, 0.004, 0.004, 0.092};
  const std::vector<double> largest = {0.9, 0.008, 0.008, 0.2};
  EXPECT_DOUBLE_EQ(profile_of(UnitMasses{{mean}, {largest}}).tail, 1.0 / 4);
}

// 22 blocks: the heavy 5 % of the 20 in between is one block.
std::vector<double> with_heavy(std::size_t block) {
  std::vector<double> masses(22, 0.01);
  masses.front() = masses.back() = 0.3;
  masses[block] = 0.2;
  return masses;
}

TEST(MassProfile, TurnoverLeavesFirstAndOwnApart) {
  UnitMasses unit;
  for (const std::size_t block : {5, 5, 5, 9, 9}) unit.mean.push_back(with_heavy(block));
  unit.largest = unit.mean;
  const MassProfile p = profile_of(unit);
  EXPECT_DOUBLE_EQ(p.turnover_1, 0.25);
  EXPECT_DOUBLE_EQ(p.turnover_8, 0.0);  // no two steps are that far apart
}

TEST(MassProfile, OfALayerSeesTheTokensUpToItsOwn) {
  // One kv head, K zero: every token has the same mass; 130 tokens, the last two looked at.
  CapturedLayer layer;
  layer.q_heads = 2;
  layer.kv_heads = 1;
  layer.head_dim = 2;
  layer.softmax_scale = 1;
  layer.k.resize(130 * 2);
  layer.q.assign(2 * 2 * 2, 1.0f);
  const MassProfile p = profile_of(layer);
  EXPECT_NEAR(p.sink, (64.0 / 129 + 64.0 / 130) / 2, 1e-12);
  EXPECT_NEAR(p.own, (1.0 / 129 + 2.0 / 130) / 2, 1e-12);
}

}  // namespace
}  // namespace thriftattn::cli
