// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/bfloat16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

namespace thriftattn::numeric {
namespace {

constexpr unsigned kInfinity = 0x7f80;

// Sign, exponent and mantissa spelt out. Code 0x7f80 is taken as 2^128, where the next binade would
// be.
double reference(unsigned bits) {
  const int exponent = static_cast<int>((bits >> 7) & 0xff);
  const int mantissa = static_cast<int>(bits & 0x7f);
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -133) : std::ldexp(128 + mantissa, exponent - 134);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Bfloat16, EveryCodeDecodesAndSurvivesARoundTrip) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto code = static_cast<std::uint16_t>(bits);
    const float got = bfloat16_to_float(code);
    if ((bits & 0x7fff) > kInfinity) {
      EXPECT_TRUE(std::isnan(got)) << bits;
      EXPECT_EQ(float_to_bfloat16(got), bits | 0x40) << bits;
      continue;
    }
    if ((bits & 0x7fff) == kInfinity) {
      EXPECT_TRUE(std::isinf(got));
    } else {
      EXPECT_EQ(got, reference(bits)) << bits;
    }
    EXPECT_EQ(float_to_bfloat16(got), bits) << bits;
    EXPECT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
  }
}

TEST(Bfloat16, EveryTieGoesToTheEvenCodeAndItsNeighboursToTheirSide) {
  for (unsigned low = 0; low < kInfinity; ++low) {
    const auto tie = static_cast<float>((reference(low) + reference(low + 1)) / 2);
    ASSERT_EQ(tie, (reference(low) + reference(low + 1)) / 2) << low;
    const unsigned even = low % 2 == 0 ? low : low + 1;
    EXPECT_EQ(float_to_bfloat16(tie), even) << low;
    EXPECT_EQ(float_to_bfloat16(-tie), 0x8000 | even) << low;
    EXPECT_EQ(float_to_bfloat16(std::nextafter(tie, 0.0f)), low) << low;
    EXPECT_EQ(float_to_bfloat16(std::nextafter(tie, INFINITY)), low + 1) << low;
  }
}

TEST(Bfloat16, NanWithALowPayloadStaysNan) {
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x7f800001u)), 0x7fc0);
  EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0xffffffffu)), 0xffff);
}

}  // namespace
}  // namespace thriftattn::numeric
