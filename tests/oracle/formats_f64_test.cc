// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The oracle's decoders against the formats' definitions: if these are wrong, every bounded test
// is.
#include "oracle/formats_f64.h"

#include <gtest/gtest.h>

#include <cmath>

namespace thriftattn::oracle {
namespace {

TEST(FormatsF64, E2m1HasItsSixteenValues) {
  const double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (unsigned code = 0; code < 16; ++code) {
    const double sign = (code & 8) != 0 ? -1 : 1;
    EXPECT_EQ(decode_e2m1(code), sign * magnitudes[code & 7]) << code;
  }
}

TEST(FormatsF64, E4m3) {
  EXPECT_EQ(decode_e4m3(0x00), 0.0);
  EXPECT_EQ(decode_e4m3(0x01), 0x1p-9);  // smallest subnormal
  EXPECT_EQ(decode_e4m3(0x08), 0x1p-6);  // smallest normal
  EXPECT_EQ(decode_e4m3(0x38), 1.0);
  EXPECT_EQ(decode_e4m3(0x39), 1.125);
  EXPECT_EQ(decode_e4m3(0x7e), 448.0);  // largest
  EXPECT_EQ(decode_e4m3(0xb8), -1.0);
  EXPECT_TRUE(std::isnan(decode_e4m3(0x7f)));
  EXPECT_TRUE(std::isnan(decode_e4m3(0xff)));
}

TEST(FormatsF64, E8m0) {
  EXPECT_EQ(decode_e8m0(127), 1.0);
  EXPECT_EQ(decode_e8m0(0), 0x1p-127);
  EXPECT_EQ(decode_e8m0(254), 0x1p127);
  EXPECT_TRUE(std::isnan(decode_e8m0(255)));
}

TEST(FormatsF64, HalfAndBfloat16RoundTrip) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (!std::isnan(decode_half(half))) {
      EXPECT_EQ(encode_half(decode_half(half)), half);
    }
    if (!std::isnan(decode_bfloat16(half))) {
      EXPECT_EQ(encode_bfloat16(decode_bfloat16(half)), half);
    }
  }
  EXPECT_EQ(decode_half(0x0001), 0x1p-24);
  EXPECT_EQ(decode_half(0x3c00), 1.0);
  EXPECT_EQ(decode_half(0x7bff), 65504.0);
  EXPECT_EQ(decode_bfloat16(0x3f80), 1.0);
}

TEST(FormatsF64, RoundsToNearestEven) {
  EXPECT_EQ(encode_half(1 + 0x1p-11), 0x3c00);  // a tie, down to even
  EXPECT_EQ(encode_half(1 + 0x1p-11 + 0x1p-30), 0x3c01);
  EXPECT_EQ(encode_half(1 + 3 * 0x1p-11), 0x3c02);  // a tie, up to even
  EXPECT_EQ(encode_half(2 - 0x1p-12), 0x4000);      // carries into the exponent
  EXPECT_EQ(encode_half(65519.0), 0x7bff);
  EXPECT_EQ(encode_half(65520.0), 0x7c00);  // rounds to infinity
  EXPECT_EQ(encode_half(0x1p-25), 0x0000);
  EXPECT_EQ(encode_half(0x1p-25 * 1.01), 0x0001);
  EXPECT_EQ(encode_bfloat16(-(1 + 0x1p-8)), 0xbf80);
  EXPECT_EQ(encode_bfloat16(1 + 3 * 0x1p-8), 0x3f82);
}

TEST(FormatsF64, PanelPlacesNibblesAndScales) {
  constexpr int kLanes = 16;
  std::uint32_t codes[4 * kLanes] = {};  // contraction 32
  std::uint8_t scales[2 * kLanes] = {};
  for (std::uint8_t& s : scales) s = 0x38;
  codes[2 * kLanes + 5] = 0xfu << 12;  // element (19, 5) = -6
  scales[1 * kLanes + 5] = 0x40;       // rows 16 .. 31 of lane 5: 2
  const Nvfp4Panel panel{codes, scales, 32, kLanes};
  EXPECT_EQ(panel_element(panel, 19, 5), -12.0);
  EXPECT_EQ(panel_element(panel, 18, 5), 0.0);
  EXPECT_EQ(panel_element(panel, 19, 4), 0.0);
}

}  // namespace
}  // namespace thriftattn::oracle
