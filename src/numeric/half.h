// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// IEEE binary16 to and from fp32. Same bits as the F16C instructions, also where subnormals are
// flushed.
#pragma once

#include <bit>
#include <cstdint>

#include "numeric/host_device.h"
#include "thriftattn/formats.h"

namespace thriftattn::numeric {

inline constexpr float kMaxHalf = 65504.0f;
inline constexpr float kHalfOverflow = 65520.0f;  // from here on values round to infinity

// Exact. A NaN keeps its sign and payload and becomes quiet.
THRIFTATTN_HOST_DEVICE inline float half_to_float(half_t half) {
  const std::uint32_t magnitude = half.bits & 0x7fffu;
  const std::uint32_t sign = (half.bits & 0x8000u) << 16;
  std::uint32_t bits = (magnitude << 13) + (112u << 23);
  if (magnitude >= 0x7c00u) bits += 112u << 23;
  if (magnitude > 0x7c00u) bits |= 0x00400000u;
  // Subnormal halves are multiples of 2^-24 and normal floats.
  const float subnormal = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  if (magnitude < 0x0400u) bits = std::bit_cast<std::uint32_t>(subnormal);
  return std::bit_cast<float>(bits | sign);
}

// Rounds to nearest, ties to even; from kHalfOverflow on the result is infinite.
THRIFTATTN_HOST_DEVICE inline half_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x47800000u) {  // 2^16
    half = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // 2^-14: normal
    half = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  } else {
    // One ulp of 0.5 is 2^-24, the step of subnormal halves: the addition rounds.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  }
  return half_t{static_cast<std::uint16_t>(sign | half)};
}

THRIFTATTN_HOST_DEVICE inline bool is_finite(half_t half) {
  return (half.bits & 0x7c00u) != 0x7c00u;
}

}  // namespace thriftattn::numeric
