// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// E4M3 without infinities (E4M3FN): bias 7, largest 448, smallest normal 2^-6, NaN is 0x7f and
// 0xff.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "numeric/host_device.h"

namespace thriftattn::numeric {

inline constexpr std::uint8_t kE4m3Nan = 0x7f;

// Exact.
THRIFTATTN_HOST_DEVICE inline float e4m3_to_float(std::uint8_t code) {
  const std::uint32_t magnitude = code & 0x7fu;
  const float sign = (code & 0x80u) != 0 ? -1.0f : 1.0f;
  if (magnitude == kE4m3Nan) return std::numeric_limits<float>::quiet_NaN();
  if (magnitude < 8)
    return sign * static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-9f;
  return sign * std::bit_cast<float>((magnitude << 20) + (120u << 23));
}

// Rounds to nearest, ties to even, and saturates at 448, infinities too. NaN gives a NaN code.
THRIFTATTN_HOST_DEVICE inline std::uint8_t float_to_e4m3(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t code = 0;
  if (magnitude > 0x7f800000u) {
    code = kE4m3Nan;
  } else if (magnitude >= 0x43e00000u) {  // 448
    code = 0x7eu;
  } else if (magnitude >= 0x3c800000u) {  // 2^-6: normal
    code = (magnitude + 0x7ffffu + ((magnitude >> 20) & 1u) - (120u << 23)) >> 20;
  } else {
    // One ulp of 2^14 is 2^-9, the step of subnormal codes: the addition rounds.
    code = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14f) - 0x46800000u;
  }
  return static_cast<std::uint8_t>(code | ((bits >> 24) & 0x80u));
}

}  // namespace thriftattn::numeric
