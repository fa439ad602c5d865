// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/e2m1.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "numeric/e4m3.h"
#include "numeric/rounding.h"

namespace thriftattn::numeric {
namespace {

const std::vector<double> kMagnitudes = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

TEST(E2m1, EveryCodeDecodes) {
  for (unsigned code = 0; code < 16; ++code) {
    const float got = e2m1_to_float(static_cast<std::uint8_t>(code));
    EXPECT_EQ(std::fabs(got), kMagnitudes[code & 7]);
    EXPECT_EQ(std::signbit(got), code >= 8);
    EXPECT_EQ(float_to_e2m1(got), code);
  }
}

TEST(E2m1, TiesGoToTheEvenCode) {
  const std::vector<std::pair<float, unsigned>> ties = {
      {0.25f, 0}, {0.75f, 2}, {1.25f, 2}, {1.75f, 4}, {2.5f, 4}, {3.5f, 6}, {5.0f, 6}};
  for (const auto& [tie, code] : ties) {
    EXPECT_EQ(float_to_e2m1(tie), code) << tie;
    EXPECT_EQ(float_to_e2m1(-tie), 8 + code) << tie;
  }
}

TEST(E2m1, RoundsToTheNearestAndSaturates) {
  for (const float x : testing::boundary_values(kMagnitudes)) {
    const unsigned want = testing::nearest_even(kMagnitudes, x);
    EXPECT_EQ(float_to_e2m1(x), want) << x;
    EXPECT_EQ(float_to_e2m1(-x), 8 + want) << x;
  }
  EXPECT_EQ(float_to_e2m1(1e30f), 7);
  const E2m1Rounding rounding(1.0f);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(rounding.count(nan), 0);
  EXPECT_EQ(rounding.search(nan), 0);
  EXPECT_EQ(float_to_e2m1(-std::numeric_limits<float>::infinity()), 15);
}

TEST(E2m1, ScaledRoundingIsThatOfTheExactQuotientForEveryScale) {
  for (unsigned code = 1; code < kE4m3Nan; ++code) {
    const float scale = e4m3_to_float(static_cast<std::uint8_t>(code));
    std::vector<double> scaled;
    for (const double magnitude : kMagnitudes) scaled.push_back(magnitude * scale);
    for (const float x : testing::boundary_values(scaled)) {
      const E2m1Rounding rounding(scale);
      ASSERT_EQ(rounding.count(x), testing::nearest_even(scaled, x)) << x << " / " << scale;
      ASSERT_EQ(rounding.search(x), rounding.count(x)) << x << " / " << scale;
    }
  }
}

}  // namespace
}  // namespace thriftattn::numeric
