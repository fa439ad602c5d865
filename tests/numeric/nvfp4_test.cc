// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/nvfp4.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "numeric/rounding.h"
#include "oracle/formats_f64.h"

namespace thriftattn::numeric {
namespace {

using Values = std::array<float, kScaleGroup>;

// One candidate by brute force: every code tried for every value, errors in double.
struct Reference {
  unsigned scale = 0;
  std::array<unsigned, kScaleGroup> codes = {};
  double error = 0;
};

Reference encode_reference(const Values& x, double wanted_scale) {
  std::vector<double> scales;
  for (unsigned code = 0; code < 0x7f; ++code) {
    scales.push_back(oracle::decode_e4m3(static_cast<std::uint8_t>(code)));
  }
  Reference out;
  out.scale = testing::nearest_even(scales, std::max(wanted_scale, 0x1p-6));
  std::vector<double> grid;
  for (unsigned code = 0; code < 8; ++code) {
    grid.push_back(oracle::decode_e2m1(code) * scales[out.scale]);
  }
  for (int i = 0; i < kScaleGroup; ++i) {
    const double magnitude = std::fabs(x[i]);
    const unsigned code = testing::nearest_even(grid, magnitude);
    out.codes[i] = code | (std::signbit(x[i]) ? 8 : 0);
    out.error += (magnitude - grid[code]) * (magnitude - grid[code]);
  }
  return out;
}

Reference quantize_reference(const Values& x, ScaleRule rule) {
  float amax = 0;
  for (const float value : x) amax = std::max(amax, std::fabs(value));
  const Reference six = encode_reference(x, amax / 6.0f);
  if (rule == ScaleRule::kNearest || amax / 4 > 448) return six;
  const Reference four = encode_reference(x, amax / 4.0f);
  return four.error < six.error ? four : six;
}

void expect_equal(const Nvfp4Group& got, const Reference& want) {
  ASSERT_EQ(got.scale, want.scale);
  for (int i = 0; i < kScaleGroup; ++i) ASSERT_EQ(got.codes[i], want.codes[i]) << i;
}

double squared_error(const Values& x, const Nvfp4Group& group) {
  Values decoded;
  dequantize_group(group, decoded.data());
  double error = 0;
  for (int i = 0; i < kScaleGroup; ++i) error += std::pow(double{x[i]} - decoded[i], 2);
  return error;
}

// Groups of all magnitudes that a scale can serve and some beyond; one in three has few distinct
// values, which makes ties.
class Groups {
 public:
  Values next() {
    Values x;
    const int exponent = std::uniform_int_distribution<int>(-12, 14)(random_);
    const bool coarse = count_++ % 3 == 0;
    for (float& value : x) {
      const int steps = std::uniform_int_distribution<int>(-4096, 4096)(random_);
      value = std::ldexp(static_cast<float>(coarse ? steps / 256 * 256 : steps), exponent - 12);
    }
    return x;
  }

 private:
  std::mt19937 random_{4};
  int count_ = 0;
};

TEST(Nvfp4, EveryGroupIsWhatBruteForceFinds) {
  Groups groups;
  for (int i = 0; i < 20000; ++i) {
    const Values x = groups.next();
    for (const ScaleRule rule : {ScaleRule::kNearest, ScaleRule::kFourOverSix}) {
      expect_equal(quantize_group(x.data(), rule), quantize_reference(x, rule));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Nvfp4, FourOverSixIsNeverWorseAndScalesStayNormal) {
  Groups groups;
  int better = 0;
  for (int i = 0; i < 20000; ++i) {
    const Values x = groups.next();
    const Nvfp4Group nearest = quantize_group(x.data(), ScaleRule::kNearest);
    const Nvfp4Group best = quantize_group(x.data(), ScaleRule::kFourOverSix);
    ASSERT_LE(squared_error(x, best), squared_error(x, nearest));
    better += squared_error(x, best) < squared_error(x, nearest) ? 1 : 0;
    for (const Nvfp4Group& group : {nearest, best}) {
      ASSERT_GE(oracle::decode_e4m3(group.scale), kMinScale);
      ASSERT_LE(oracle::decode_e4m3(group.scale), kMaxScale);
    }
  }
  EXPECT_GT(better, 2000);
}

TEST(Nvfp4, KnownVectors) {
  // Every E2M1 value under scale 1 (0x38).
  const Values grid = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -.5f, -1, -1.5f, -2, -3, -4, -6};
  const Nvfp4Group exact = quantize_group(grid.data(), ScaleRule::kFourOverSix);
  EXPECT_EQ(exact.scale, 0x38);
  for (int i = 0; i < kScaleGroup; ++i) EXPECT_EQ(exact.codes[i], i);

  // All 4: amax / 6 rounds to 0.6875 and decodes to 4.125, amax / 4 is exact.
  Values fours;
  fours.fill(4);
  const Nvfp4Group nearest = quantize_group(fours.data(), ScaleRule::kNearest);
  EXPECT_EQ(nearest.scale, 0x33);
  EXPECT_EQ(nearest.codes[0], 7);
  const Nvfp4Group four = quantize_group(fours.data(), ScaleRule::kFourOverSix);
  EXPECT_EQ(four.scale, 0x38);
  EXPECT_EQ(four.codes[0], 6);
}

TEST(Nvfp4, ScalesAreClampedAtBothEnds) {
  Values x = {};
  const Nvfp4Group zeros = quantize_group(x.data(), ScaleRule::kFourOverSix);
  EXPECT_EQ(zeros.scale, 0x08);  // 2^-6
  for (const auto code : zeros.codes) EXPECT_EQ(code, 0);
  x[3] = -0x1p-7f;  // half of the smallest scale
  EXPECT_EQ(quantize_group(x.data(), ScaleRule::kFourOverSix).codes[3], 9);
  x[3] = 1e6f;
  const Nvfp4Group large = quantize_group(x.data(), ScaleRule::kFourOverSix);
  EXPECT_EQ(large.scale, 0x7e);  // 448
  EXPECT_EQ(large.codes[3], 7);
}

TEST(Nvfp4, ScaleExponentIsTheSmallestThatFits) {
  for (const ScaleRule rule : {ScaleRule::kNearest, ScaleRule::kFourOverSix}) {
    const double limit = rule == ScaleRule::kNearest ? 448.0 * 6 : 448.0 * 4;
    for (int power = -110; power <= 127; ++power) {
      for (const double fraction : {1.0, 1.3, limit / 1024, limit / 1024 + 0x1p-20, 1.99}) {
        const auto amax = static_cast<float>(std::ldexp(fraction, power));
        if (!std::isfinite(amax)) continue;
        const int e = scale_exponent(amax, rule);
        ASSERT_LE(amax, std::ldexp(limit, e)) << amax;
        ASSERT_GT(amax, std::ldexp(limit, e - 1)) << amax;
      }
    }
    EXPECT_EQ(scale_exponent(0, rule), -126);
    EXPECT_EQ(scale_exponent(std::numeric_limits<float>::denorm_min(), rule), -126);
  }
}

TEST(Nvfp4, FakeQuantizeIsTheCodecAndFollowsTheExponent) {
  Groups groups;
  for (int i = 0; i < 200; ++i) {
    const Values a = groups.next();
    const Values b = groups.next();
    std::vector<float> x(a.begin(), a.end());
    x.insert(x.end(), b.begin(), b.end());
    std::vector<float> want(x.size());
    dequantize_group(quantize_group(a.data(), ScaleRule::kFourOverSix), want.data());
    dequantize_group(quantize_group(b.data(), ScaleRule::kFourOverSix), want.data() + kScaleGroup);

    std::vector<float> scaled = x;
    for (float& value : scaled) value *= 0x1p40f;
    fake_quantize(x.data(), 32, ScaleRule::kFourOverSix, 0, x.data());
    EXPECT_EQ(x, want);
    fake_quantize(scaled.data(), 32, ScaleRule::kFourOverSix, 40, scaled.data());
    for (float& value : want) value *= 0x1p40f;
    EXPECT_EQ(scaled, want);
  }
}

}  // namespace
}  // namespace thriftattn::numeric
