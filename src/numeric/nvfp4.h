// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// NVFP4 groups: 16 values, E2M1 codes, one E4M3 scale. The exact scalar codec that everything is
// held to. Header only: the host and CUDA devices share it.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "numeric/e2m1.h"
#include "numeric/e4m3.h"
#include "numeric/host_device.h"
#include "numeric/magnitude.h"
#include "thriftattn/formats.h"

namespace thriftattn::numeric {

// The sealer never stores a smaller scale: fast decoders rely on normal E4M3.
inline constexpr float kMinScale = 0x1p-6f;
inline constexpr float kMaxScale = 448.0f;
inline constexpr float kMaxE2m1 = 6.0f;

struct Nvfp4Group {
  std::uint8_t scale = 0;                // E4M3
  std::uint8_t codes[kScaleGroup] = {};  // E2M1, one a byte

  THRIFTATTN_HOST_DEVICE void set_code(int i, std::uint32_t code) {
    codes[i] = static_cast<std::uint8_t>(code);
  }
};

inline constexpr int kMinScaleExponent = -126;  // 2^e and 2^-e are both normal
inline constexpr int kMaxScaleExponent = 126;

THRIFTATTN_HOST_DEVICE inline std::uint8_t encode_scale(float scale) {
  return float_to_e4m3(scale > kMinScale ? scale : kMinScale);
}

// Writes the codes of x under `group.scale` and returns the squared error. Each difference is exact
// in fp32 (unless x saturates far above 6) and its square in fp64, so that comparing two scales is
// too.
template <class Group>
THRIFTATTN_HOST_DEVICE double encode_codes(const float* x, Group& group) {
  const float scale = e4m3_to_float(group.scale);
  const E2m1Rounding rounding(scale);
  double squares[kScaleGroup];
  for (int i = 0; i < kScaleGroup; ++i) {
    const float magnitude = std::fabs(x[i]);
    const std::uint32_t code = rounding.code(magnitude);
    const double error = magnitude - e2m1_magnitude(code) * scale;
    group.set_code(i, code | std::bit_cast<std::uint32_t>(x[i]) >> 31 << 3);
    squares[i] = error * error;
  }
  for (int half = kScaleGroup / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) squares[i] += squares[i + half];
  }
  return squares[0];
}

// Quantises 16 finite values. The scale is clamped to [2^-6, 448]: pre-scale by a power of two to
// stay inside. A Group has a scale and set_code, which is called once for every i.
template <class Group = Nvfp4Group>
THRIFTATTN_HOST_DEVICE Group quantize_group(const float* x, ScaleRule rule) {
  const float amax = largest_magnitude(x, kScaleGroup);
  Group six;
  six.scale = encode_scale(amax / kMaxE2m1);
  const double six_error = encode_codes(x, six);
  const float four_scale = amax / 4.0f;
  if (rule == ScaleRule::kNearest || four_scale > kMaxScale) return six;

  Group four;
  four.scale = encode_scale(four_scale);
  if (four.scale == six.scale) return six;
  return encode_codes(x, four) < six_error ? four : six;
}

// out[i] = code * scale of 16 values.
THRIFTATTN_HOST_DEVICE inline void dequantize_group(const Nvfp4Group& group, float* out) {
  const float scale = e4m3_to_float(group.scale);
  for (int i = 0; i < kScaleGroup; ++i) out[i] = e2m1_to_float(group.codes[i]) * scale;
}

// What quantising `n` (a multiple of 16) values and decoding them gives, with values pre-scaled by
// the power of two 2^-exponent before and by 2^exponent after. in and out may be the same.
void fake_quantize(const float* in, int n, ScaleRule rule, int exponent, float* out);

// The smallest e such that amax / divisor / 2^e fits kMaxScale (divisor is 6, or 4 for
// four_over_six). 0 gives a very small e that is still safe to use (-126).
THRIFTATTN_HOST_DEVICE inline int scale_exponent(float amax, ScaleRule rule) {
  if (!(amax > 0)) return kMinScaleExponent;
  int amax_exponent = 0;
  int limit_exponent = 0;
  const float limit = kMaxScale * (rule == ScaleRule::kNearest ? kMaxE2m1 : 4.0f);
  const float amax_fraction = std::frexp(amax, &amax_exponent);
  const float limit_fraction = std::frexp(limit, &limit_exponent);
  const int exponent = amax_exponent - limit_exponent + (amax_fraction > limit_fraction ? 1 : 0);
  // Not std::clamp: device code cannot refer to a host constant.
  if (exponent < kMinScaleExponent) return kMinScaleExponent;
  return exponent < kMaxScaleExponent ? exponent : kMaxScaleExponent;
}

}  // namespace thriftattn::numeric
