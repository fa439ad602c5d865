// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/e4m3.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "numeric/rounding.h"

namespace thriftattn::numeric {
namespace {

// Magnitudes of codes 0x00 to 0x7e.
std::vector<double> magnitudes() {
  std::vector<double> values;
  for (int code = 0; code < kE4m3Nan; ++code) {
    const int exponent = code >> 3;
    const int mantissa = code & 7;
    values.push_back(exponent == 0 ? std::ldexp(mantissa, -9)
                                   : std::ldexp(8 + mantissa, exponent - 10));
  }
  return values;
}

TEST(E4m3, EveryCodeDecodesAndSurvivesARoundTrip) {
  const std::vector<double> values = magnitudes();
  EXPECT_EQ(values.back(), 448);
  for (unsigned code = 0; code < 256; ++code) {
    const float got = e4m3_to_float(static_cast<std::uint8_t>(code));
    if ((code & 0x7f) == kE4m3Nan) {
      EXPECT_TRUE(std::isnan(got));
      EXPECT_EQ(float_to_e4m3(got) & 0x7f, kE4m3Nan);
      continue;
    }
    EXPECT_EQ(std::fabs(got), values[code & 0x7f]) << code;
    EXPECT_EQ(std::signbit(got), code >= 128) << code;
    EXPECT_EQ(float_to_e4m3(got), code);
  }
}

TEST(E4m3, RoundsToTheNearestEvenEverywhere) {
  const std::vector<double> values = magnitudes();
  for (const float x : testing::boundary_values(values)) {
    const unsigned want = testing::nearest_even(values, x);
    EXPECT_EQ(float_to_e4m3(x), want) << x;
    EXPECT_EQ(float_to_e4m3(-x), 0x80 | want) << x;
  }
}

TEST(E4m3, SaturatesAt448) {
  EXPECT_EQ(float_to_e4m3(464.0f), 0x7e);
  EXPECT_EQ(float_to_e4m3(1e38f), 0x7e);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::infinity()), 0x7e);
  EXPECT_EQ(float_to_e4m3(-std::numeric_limits<float>::infinity()), 0xfe);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::denorm_min()), 0);
}

}  // namespace
}  // namespace thriftattn::numeric
