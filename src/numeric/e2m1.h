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

// Of codes 0 to 7, exact. They have a mantissa bit and two of exponent, of which 0 stands for
// subnormals: as in fp32, but for the bias. Devices multiply subnormals as fast as others.
THRIFTATTN_HOST_DEVICE inline float e2m1_magnitude(std::uint32_t code) {
#ifdef __CUDA_ARCH__
  return std::bit_cast<float>(code << 22) * 0x1p126f;
#else
  return std::bit_cast<float>(code < 2 ? code * 0x3f000000u : (code << 22) + (126u << 23));
#endif
}

// Exact.
THRIFTATTN_HOST_DEVICE inline float e2m1_to_float(std::uint8_t code) {
  const float magnitude = e2m1_magnitude(code & 7u);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | (code & 8u) << 28);
}

// Rounds magnitudes in units of one positive scale: to the nearest, ties to the even code. Products
// of a point between two neighbours and an E4M3 scale are exact in fp32, so the rounding is that of
// the exact quotient.
class E2m1Rounding {
 public:
  THRIFTATTN_HOST_DEVICE explicit E2m1Rounding(float scale)
      : least_{above(0.25f * scale), 0.75f * scale, above(1.25f * scale), 1.75f * scale,
               above(2.5f * scale),  3.5f * scale,  above(5.0f * scale)} {}

  // 0 to 7; 0 for NaN: how many of the least magnitudes of codes 1 to 7 it reaches. The host counts
  // them, which vectorizes; a device searches, in half the instructions.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::uint32_t code(float magnitude) const {
#ifdef __CUDA_ARCH__
    return search(magnitude);
#else
    return count(magnitude);
#endif
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::uint32_t count(float magnitude) const {
    std::int32_t reached = 0;
    for (const float least : least_) reached += magnitude >= least;
    return static_cast<std::uint32_t>(reached);
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::uint32_t search(float magnitude) const {
    const bool four = magnitude >= least_[3];
    const bool two = magnitude >= (four ? least_[5] : least_[1]);
    const float odd_above = two ? least_[6] : least_[4];
    const float odd_below = two ? least_[2] : least_[0];
    const bool one = magnitude >= (four ? odd_above : odd_below);
    return (four ? 4u : 0u) + (two ? 2u : 0u) + (one ? 1u : 0u);
  }

 private:
  // The next float: a tie at an even code stays below.
  THRIFTATTN_HOST_DEVICE static float above(float positive) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(positive) + 1);
  }

  float least_[7];
};

// Rounds to nearest, ties to the even code, saturates at 6 and keeps the sign of zero. NaN gives
// zero.
THRIFTATTN_HOST_DEVICE inline std::uint8_t float_to_e2m1(float value) {
  const std::uint32_t code = E2m1Rounding(1.0f).code(std::fabs(value));
  return static_cast<std::uint8_t>(code | (std::signbit(value) ? 8u : 0u));
}

}  // namespace thriftattn::numeric
