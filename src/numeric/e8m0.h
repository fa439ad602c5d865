// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// E8M0: a power of two in a byte, 2^(code - 127); 255 is NaN.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "numeric/host_device.h"

namespace thriftattn::numeric {

inline constexpr int kE8m0Bias = 127;
inline constexpr std::uint8_t kE8m0Nan = 255;

// 2^exponent for exponents of normal fp32, -126 to 127.
THRIFTATTN_HOST_DEVICE inline float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + kE8m0Bias) << 23);
}

// Exact; 2^-127 is a subnormal float.
THRIFTATTN_HOST_DEVICE inline float e8m0_to_float(std::uint8_t code) {
  if (code == kE8m0Nan) return std::numeric_limits<float>::quiet_NaN();
  return code == 0 ? 0x1p-127f : power_of_two(code - kE8m0Bias);
}

// Clamps to the range of the format, -127 to 127.
THRIFTATTN_HOST_DEVICE inline std::uint8_t exponent_to_e8m0(int exponent) {
  return static_cast<std::uint8_t>(std::clamp(exponent, -127, 127) + kE8m0Bias);
}

}  // namespace thriftattn::numeric
