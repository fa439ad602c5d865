// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// E2M1 codes to fp16 without rounding: a code's bits are placed where fp16 has its sign, the two
// low bits of its exponent and the high bit of its mantissa. That reads as the value times 2^-14,
// which whoever uses it undoes. Nine instructions for eight codes, six of them on the ALU.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"

namespace thriftattn::cuda {

inline constexpr float kCodeUp = 16384.0f;  // undoes the 2^-14
inline constexpr float kCodeUpLog2 = 14.0f;

// out[j] = half2 of slots 2 j and 2 j + 1 of a word (tile_layout.h), times 2^-14.
__device__ __forceinline__ void unpack_codes(std::uint32_t word, std::uint32_t (&out)[4]) {
  constexpr std::uint32_t kPlace = 0x8e008e00u;
  out[0] = word & kPlace;
  out[1] = (word << 3) & kPlace;
  // One multiplication moves sign and magnitude by different amounts; stray copies fall outside the
  // mask. Signs move by 1, magnitudes by 6; then signs by 2, magnitudes by 9.
  out[2] = ((word & 0x40384038u) * 66u) & kPlace;
  out[3] = ((word & 0x20072007u) * 516u) & kPlace;
}

// The same times a scale: the low (kHigh = false) or high half of `scales`. Exact: six significant
// bits, and the scale is a normal E4M3.
template <bool kHigh>
__device__ __forceinline__ void decode_codes(std::uint32_t word, std::uint32_t scales,
                                             std::uint32_t (&out)[4]) {
  unpack_codes(word, out);
#pragma unroll
  for (int i = 0; i < 4; ++i) out[i] = ptx::multiply_by_half<kHigh>(out[i], scales);
}

}  // namespace thriftattn::cuda
