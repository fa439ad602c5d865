// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "selection/rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "numeric/half.h"
#include "selection/fake_unit.h"

namespace thriftattn {
namespace {

using selection::need_masses;
using selection::rank_blocks;
using testing::FakeUnit;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<double> rank_of(Policy policy, const FakeUnit& unit) {
  std::vector<double> rank;
  rank_blocks(policy, unit.view(), rank);
  return rank;
}

TEST(Rank, MassIsSummedOverRowsAndSkipsNaN) {
  FakeUnit unit({{.25f, .5f}, {.5f, kNan}, {.25f, .125f}});
  EXPECT_EQ(rank_of(Policy::kFp4Mass, unit), (std::vector<double>{.75, .5, .375}));
}

TEST(Rank, ForcedBlocksHaveNoRank) {
  FakeUnit unit({{.9f}, {.1f}});
  unit.candidate[0] = 0;
  EXPECT_EQ(rank_of(Policy::kFp4Mass, unit), (std::vector<double>{0, .1f}));
}

// Two blocks, two channels, two rows whose sum decides.
TEST(Rank, BlockMeanIsTheSumOfDotProducts) {
  FakeUnit unit({{0, 0}, {0, 0}});
  const float q0[] = {1, 2};
  const float q1[] = {3, -1};
  const half_t mean0[] = {numeric::float_to_half(1), numeric::float_to_half(0)};
  const half_t mean1[] = {numeric::float_to_half(0), numeric::float_to_half(2)};
  unit.head_dim = 2;
  unit.q = {q0, q1};
  unit.views.resize(2);
  unit.views[0].summary.block_mean = mean0;
  unit.views[1].summary.block_mean = mean1;
  EXPECT_EQ(rank_of(Policy::kBlockMean, unit), (std::vector<double>{4, 2}));
  const float bad[] = {kNan, 0};
  unit.q[1] = bad;  // a spoiled row has no say
  EXPECT_EQ(rank_of(Policy::kBlockMean, unit), (std::vector<double>{1, 4}));
}

TEST(Rank, QuestIsAnUpperBoundOfEveryKey) {
  FakeUnit unit(std::vector<std::vector<float>>(1, {0.0f}));
  const float q[] = {2, -3};
  const float low[] = {-1, -4};
  const float high[] = {5, 6};
  unit.head_dim = 2;
  unit.q = {q};
  unit.views.resize(1);
  unit.views[0].summary.min_k = low;
  unit.views[0].summary.max_k_channel = high;
  EXPECT_EQ(rank_of(Policy::kQuest, unit)[0], 2 * 5 + -3 * -4);
}

TEST(Rank, LocalPrefersTheNewest) {
  EXPECT_EQ(rank_of(Policy::kLocal, FakeUnit({{0}, {0}, {0}})), (std::vector<double>{0, 1, 2}));
}

TEST(Rank, RandomDependsOnTheSeedOnly) {
  FakeUnit unit(std::vector<std::vector<float>>(50, {0.0f}));
  const auto first = rank_of(Policy::kRandom, unit);
  EXPECT_EQ(first, rank_of(Policy::kRandom, unit));
  EXPECT_EQ(std::set<double>(first.begin(), first.end()).size(), 50u);
  unit.seed = 1;
  EXPECT_NE(first, rank_of(Policy::kRandom, unit));
}

TEST(Rank, MassesAreNeededByMassPolicyAndMassBudgetOnly) {
  Selection s;
  EXPECT_TRUE(need_masses(s));
  s.policy = Policy::kBlockMean;
  EXPECT_FALSE(need_masses(s));
  s.budget.kind = Budget::Kind::kMass;
  EXPECT_TRUE(need_masses(s));
  s.budget.kind = Budget::Kind::kAll;
  EXPECT_FALSE(need_masses(s));
}

}  // namespace
}  // namespace thriftattn
