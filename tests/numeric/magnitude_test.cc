// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/magnitude.h"

#include <gtest/gtest.h>

#include <limits>

namespace thriftattn::numeric {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(LargestMagnitude, IsThatOfTheFirstNValues) {
  const float x[] = {1, -3, 2, 100};
  EXPECT_EQ(largest_magnitude(x, 0), 0);
  EXPECT_EQ(largest_magnitude(x, 1), 1);
  EXPECT_EQ(largest_magnitude(x, 3), 3);
  EXPECT_EQ(largest_magnitude(x, 4), 100);
}

TEST(LargestMagnitude, PassesOverNanAndKeepsInfinity) {
  const float spoiled[] = {kNaN, -2, kNaN};
  EXPECT_EQ(largest_magnitude(spoiled, 3), 2);
  const float infinite[] = {1, -kInfinity};
  EXPECT_EQ(largest_magnitude(infinite, 2), kInfinity);
}

TEST(AllFinite, FindsNanAndBothInfinitiesAmongTheFirstNValues) {
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    const float x[] = {0, -std::numeric_limits<float>::max(), bad};
    EXPECT_TRUE(all_finite(x, 2));
    EXPECT_FALSE(all_finite(x, 3));
  }
  EXPECT_TRUE(all_finite(nullptr, 0));
}

}  // namespace
}  // namespace thriftattn::numeric
