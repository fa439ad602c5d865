// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "selection/budget.h"

#include <gtest/gtest.h>

#include <limits>

#include "selection/fake_unit.h"

namespace thriftattn {
namespace {

using selection::choose;
using selection::choose_tail;
using selection::promoted_counts;
using testing::FakeUnit;

Budget fraction(double value, double k_share = 1.6, double v_share = 0.4) {
  return {Budget::Kind::kFraction, value, k_share, v_share};
}

std::vector<double> masses_as_rank(const FakeUnit& unit) {
  std::vector<double> rank;
  selection::rank_blocks(Policy::kFp4Mass, unit.view(), rank);
  return rank;
}

// ceil(1.6 f n) and ceil(0.4 f n) as in docs/design.md.
TEST(Budget, FractionIsSpentUnevenly) {
  EXPECT_EQ(promoted_counts(fraction(.05), 100).k, 8);
  EXPECT_EQ(promoted_counts(fraction(.05), 100).v, 2);
  EXPECT_EQ(promoted_counts(fraction(.05), 101).k, 9);
  EXPECT_EQ(promoted_counts(fraction(.05), 101).v, 3);
  EXPECT_EQ(promoted_counts(fraction(.05), 1).k, 1);
  EXPECT_EQ(promoted_counts(fraction(.05), 0).k, 0);
  EXPECT_EQ(promoted_counts(fraction(0), 100).k, 0);
}

TEST(Budget, NeverMoreThanThereIsAndVInsideK) {
  EXPECT_EQ(promoted_counts(fraction(1), 7).k, 7);
  EXPECT_EQ(promoted_counts(fraction(1), 7).v, 3);
  EXPECT_EQ(promoted_counts(fraction(.5, .2, 2), 10).k, 1);
  EXPECT_EQ(promoted_counts(fraction(.5, .2, 2), 10).v, 1);
  EXPECT_EQ(promoted_counts({Budget::Kind::kCount, 1000, 1, 1}, 10).k, 10);
}

TEST(Budget, CountIsBlocks) {
  EXPECT_EQ(promoted_counts({Budget::Kind::kCount, 3, 1, 1}, 10).k, 3);
  EXPECT_EQ(promoted_counts({Budget::Kind::kCount, 5, 1.6, .4}, 100).k, 8);
  EXPECT_EQ(promoted_counts({Budget::Kind::kCount, 5, 1.6, .4}, 100).v, 2);
}

TEST(Budget, TakesTheHeaviestAndTheLowerIndexOfEquals) {
  FakeUnit unit({{.1f}, {.3f}, {.3f}, {.2f}, {.1f}});
  const auto set = choose(fraction(.4, 1, .5), unit.view(), masses_as_rank(unit));
  EXPECT_EQ(set.k, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(set.v_count, 1);
}

TEST(Budget, MassTargetIsTheSmallestSetThatReachesIt) {
  FakeUnit unit({{.1f}, {.5f}, {.25f}, {.15f}});
  const Budget budget{Budget::Kind::kMass, .7, 1, 1};
  EXPECT_EQ(choose(budget, unit.view(), masses_as_rank(unit)).k, (std::vector<std::int32_t>{1, 2}));
  unit.candidate[1] = 0;  // forced: the target is of the unforced mass, .5
  EXPECT_EQ(choose(budget, unit.view(), masses_as_rank(unit)).k, (std::vector<std::int32_t>{2, 3}));
}

TEST(Tail, GrowsFromTheLightestWhileTheSumFits) {
  const FakeUnit unit({{.5f}, {.03125f}, {.0625f}, {.28125f}, {.125f}});
  EXPECT_EQ(choose_tail(.1, unit.view()), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(choose_tail(.09375, unit.view()), (std::vector<std::int32_t>{1, 2}));  // exactly tau
  EXPECT_EQ(choose_tail(.09, unit.view()), (std::vector<std::int32_t>{1}));
  EXPECT_TRUE(choose_tail(0, unit.view()).empty());
}

TEST(Tail, CountsTheLargestMassOfTheRows) {
  const FakeUnit unit({{.9f, .5f}, {.01f, .5f}, {.09f, 0.f}});
  EXPECT_EQ(choose_tail(.1, unit.view()), (std::vector<std::int32_t>{2}));
}

TEST(Tail, SpoiledRowsDoNotCount) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const FakeUnit one({{.99f, kNan}, {.01f, kNan}});
  EXPECT_EQ(choose_tail(.05, one.view()), (std::vector<std::int32_t>{1}));
  const FakeUnit all(std::vector<std::vector<float>>(2, {kNan}));
  EXPECT_TRUE(choose_tail(.05, all.view()).empty());
}

}  // namespace
}  // namespace thriftattn
