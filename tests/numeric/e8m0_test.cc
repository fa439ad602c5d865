// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/e8m0.h"

#include <gtest/gtest.h>

#include <cmath>

namespace thriftattn::numeric {
namespace {

TEST(E8m0, EveryCodeDecodes) {
  for (int code = 0; code < 255; ++code) {
    EXPECT_EQ(e8m0_to_float(static_cast<std::uint8_t>(code)), std::ldexp(1.0, code - 127)) << code;
    EXPECT_EQ(exponent_to_e8m0(code - 127), code);
  }
  EXPECT_TRUE(std::isnan(e8m0_to_float(kE8m0Nan)));
}

TEST(E8m0, ExponentsAreClamped) {
  EXPECT_EQ(exponent_to_e8m0(-1000), 0);
  EXPECT_EQ(exponent_to_e8m0(128), 254);
}

TEST(E8m0, PowersOfTwoAreExact) {
  for (int e = -126; e <= 127; ++e) EXPECT_EQ(power_of_two(e), std::ldexp(1.0, e)) << e;
}

}  // namespace
}  // namespace thriftattn::numeric
