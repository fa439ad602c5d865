// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "oracle/formats_f64.h"

namespace thriftattn::numeric {
namespace {

constexpr unsigned kInfinity = 0x7c00;

half_t half(unsigned bits) { return half_t{static_cast<std::uint16_t>(bits)}; }

TEST(Half, EveryCodeDecodesExactly) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const double want = oracle::decode_half(static_cast<std::uint16_t>(bits));
    const float got = half_to_float(half(bits));
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
    } else {
      EXPECT_EQ(got, want) << bits;
    }
    EXPECT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
    EXPECT_EQ(is_finite(half(bits)), std::isfinite(want)) << bits;
  }
}

TEST(Half, EveryCodeSurvivesARoundTrip) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const bool nan = (bits & 0x7fff) > kInfinity;
    const unsigned want = nan ? bits | 0x200 : bits;  // a NaN becomes quiet
    EXPECT_EQ(float_to_half(half_to_float(half(bits))).bits, want) << bits;
  }
}

TEST(Half, EveryTieGoesToTheEvenCodeAndItsNeighboursToTheirSide) {
  for (unsigned low = 0; low < kInfinity; ++low) {
    const double below = oracle::decode_half(static_cast<std::uint16_t>(low));
    const double above =
        low + 1 < kInfinity ? oracle::decode_half(static_cast<std::uint16_t>(low + 1)) : 65536.0;
    const auto tie = static_cast<float>((below + above) / 2);
    ASSERT_EQ(tie, (below + above) / 2) << low;
    const unsigned even = low % 2 == 0 ? low : low + 1;
    for (const unsigned sign : {0u, 0x8000u}) {
      const float s = sign != 0 ? -1.0f : 1.0f;
      EXPECT_EQ(float_to_half(s * tie).bits, sign | even) << low;
      EXPECT_EQ(float_to_half(s * std::nextafter(tie, 0.0f)).bits, sign | low) << low;
      EXPECT_EQ(float_to_half(s * std::nextafter(tie, 1e9f)).bits, sign | (low + 1)) << low;
    }
  }
}

TEST(Half, FloatsOfEveryMagnitudeRoundAsTheReferenceDoes) {
  constexpr std::uint32_t kStep = 1021;  // prime: visits every exponent with many mantissas
  std::uint32_t bits = 0;
  for (std::uint64_t i = 0; i < (std::uint64_t{1} << 32); i += kStep, bits += kStep) {
    const float x = std::bit_cast<float>(bits);
    if (std::isnan(x)) continue;
    ASSERT_EQ(float_to_half(x).bits, oracle::encode_half(x)) << bits;
  }
}

TEST(Half, OverflowStartsAt65520) {
  EXPECT_EQ(float_to_half(kMaxHalf).bits, 0x7bff);
  EXPECT_EQ(float_to_half(std::nextafter(kHalfOverflow, 0.0f)).bits, 0x7bff);
  EXPECT_EQ(float_to_half(kHalfOverflow).bits, kInfinity);
  EXPECT_EQ(float_to_half(-kHalfOverflow).bits, 0x8000 | kInfinity);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()).bits, kInfinity);
}

TEST(Half, NanKeepsSignAndPayload) {
  EXPECT_EQ(float_to_half(std::bit_cast<float>(0x7f802000u)).bits, 0x7e01);
  EXPECT_EQ(float_to_half(std::bit_cast<float>(0xff800001u)).bits, 0xfe00);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(half_to_float(half(0xfd23))), 0xffe46000u);
}

}  // namespace
}  // namespace thriftattn::numeric
