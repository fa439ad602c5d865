// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/nvfp4.h"

#include <algorithm>
#include <cmath>

#include "numeric/e2m1.h"
#include "numeric/e4m3.h"
#include "numeric/e8m0.h"

namespace thriftattn::numeric {
namespace {

constexpr int kMinExponent = -126;  // 2^e and 2^-e are both normal
constexpr int kMaxExponent = 126;

float largest_magnitude(const float* x) {
  float amax = 0;
  for (int i = 0; i < kScaleGroup; ++i) amax = std::max(amax, std::fabs(x[i]));
  return amax;
}

std::uint8_t encode_scale(float scale) { return float_to_e4m3(std::max(scale, kMinScale)); }

// Writes the codes of x under `group.scale` and returns the squared error. Each difference is exact
// in fp32 (unless x saturates far above 6) and its square in fp64, so that comparing two scales is
// too.
double encode_codes(const float* x, Nvfp4Group& group) {
  const float scale = e4m3_to_float(group.scale);
  double squares[kScaleGroup];
  for (int i = 0; i < kScaleGroup; ++i) {
    const float magnitude = std::fabs(x[i]);
    const E2m1Magnitude rounded = e2m1_magnitude(magnitude, scale);
    const double error = magnitude - 0.5f * static_cast<float>(rounded.twice) * scale;
    group.codes[i] = static_cast<std::uint8_t>(rounded.code | (std::signbit(x[i]) ? 8 : 0));
    squares[i] = error * error;
  }
  for (int half = kScaleGroup / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) squares[i] += squares[i + half];
  }
  return squares[0];
}

}  // namespace

Nvfp4Group quantize_group(const float* x, ScaleRule rule) {
  const float amax = largest_magnitude(x);
  Nvfp4Group six;
  six.scale = encode_scale(amax / kMaxE2m1);
  const double six_error = encode_codes(x, six);
  const float four_scale = amax / 4.0f;
  if (rule == ScaleRule::kNearest || four_scale > kMaxScale) return six;

  Nvfp4Group four;
  four.scale = encode_scale(four_scale);
  if (four.scale == six.scale) return six;
  return encode_codes(x, four) < six_error ? four : six;
}

void dequantize_group(const Nvfp4Group& group, float* out) {
  const float scale = e4m3_to_float(group.scale);
  for (int i = 0; i < kScaleGroup; ++i) out[i] = e2m1_to_float(group.codes[i]) * scale;
}

void fake_quantize(const float* in, int n, ScaleRule rule, int exponent, float* out) {
  const float down = power_of_two(-exponent);
  const float up = power_of_two(exponent);
  float x[kScaleGroup];
  for (int begin = 0; begin < n; begin += kScaleGroup) {
    for (int i = 0; i < kScaleGroup; ++i) x[i] = in[begin + i] * down;
    dequantize_group(quantize_group(x, rule), x);
    for (int i = 0; i < kScaleGroup; ++i) out[begin + i] = x[i] * up;
  }
}

int scale_exponent(float amax, ScaleRule rule) {
  if (!(amax > 0)) return kMinExponent;
  int amax_exponent = 0;
  int limit_exponent = 0;
  const float limit = kMaxScale * (rule == ScaleRule::kNearest ? kMaxE2m1 : 4.0f);
  const float amax_fraction = std::frexp(amax, &amax_exponent);
  const float limit_fraction = std::frexp(limit, &limit_exponent);
  const int exponent = amax_exponent - limit_exponent + (amax_fraction > limit_fraction ? 1 : 0);
  return std::clamp(exponent, kMinExponent, kMaxExponent);
}

}  // namespace thriftattn::numeric
