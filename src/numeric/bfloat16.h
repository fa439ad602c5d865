// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// bfloat16, the upper half of an fp32, as its bits.
#pragma once

#include <bit>
#include <cstdint>

#include "numeric/host_device.h"

namespace thriftattn::numeric {

// Exact; a NaN keeps its bits.
THRIFTATTN_HOST_DEVICE inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// Rounds to nearest, ties to even. A NaN stays NaN and becomes quiet.
THRIFTATTN_HOST_DEVICE inline std::uint16_t float_to_bfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace thriftattn::numeric
