// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// E2M1, the 4-bit float of NVFP4 and MXFP4: sign in bit 3, then 0, .5, 1, 1.5, 2, 3, 4, 6.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "numeric/host_device.h"

namespace thriftattn::numeric {

inline constexpr float kE2m1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                    -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// Exact: the two lowest codes are multiples of one half, the others have a mantissa bit and
// exponents from 0 on.
THRIFTATTN_HOST_DEVICE inline float e2m1_to_float(std::uint8_t code) {
  const std::uint32_t magnitude = code & 7u;
  const std::uint32_t bits =
      magnitude < 2 ? magnitude * 0x3f000000u : (magnitude << 22) + (126u << 23);
  return std::bit_cast<float>(bits | (code & 8u) << 28);
}

// Twice the magnitude of |value| / scale rounded to E2M1, and its code: one comparison for every
// point between two neighbours, >= where the tie goes up to the even code. Products of a boundary
// and an E4M3 scale are exact in fp32, so the rounding is that of the exact quotient.
struct E2m1Magnitude {
  std::int32_t code;
  std::int32_t twice;
};
THRIFTATTN_HOST_DEVICE inline E2m1Magnitude e2m1_magnitude(float magnitude, float scale) {
  const std::int32_t half_steps = (magnitude > 0.25f * scale) + (magnitude >= 0.75f * scale) +
                                  (magnitude > 1.25f * scale) + (magnitude >= 1.75f * scale);
  const std::int32_t one_steps = (magnitude > 2.5f * scale) + (magnitude >= 3.5f * scale);
  const std::int32_t two_steps = magnitude > 5.0f * scale;
  return {half_steps + one_steps + two_steps, half_steps + 2 * one_steps + 4 * two_steps};
}

// Rounds to nearest, ties to the even code, saturates at 6 and keeps the sign of zero. NaN gives
// zero.
THRIFTATTN_HOST_DEVICE inline std::uint8_t float_to_e2m1(float value) {
  const E2m1Magnitude rounded = e2m1_magnitude(std::fabs(value), 1.0f);
  return static_cast<std::uint8_t>(rounded.code | (std::signbit(value) ? 8 : 0));
}

}  // namespace thriftattn::numeric
