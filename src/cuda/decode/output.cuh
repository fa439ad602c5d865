// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How results are written, in the caller's type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

inline constexpr float kLn2 = 0.693147180559945f;  // lse are log2 inside, and natural logs outside

// Two values, the second `apart` behind the first.
__device__ __forceinline__ void store_outputs(const CallRows& rows, std::int64_t at, int apart,
                                              float first, float second) {
  if (rows.out_type == DType::kF32) {
    float* to = static_cast<float*>(rows.out) + at;
    to[0] = first;
    to[apart] = second;
    return;
  }
  const __nv_bfloat162 rounded = __floats2bfloat162_rn(first, second);
  const std::uint32_t pair = rows.out_type == DType::kF16
                                 ? ptx::pack_half2(first, second)
                                 : *reinterpret_cast<const std::uint32_t*>(&rounded);
  auto* to = static_cast<std::uint16_t*>(rows.out) + at;
  to[0] = static_cast<std::uint16_t>(pair);
  to[apart] = static_cast<std::uint16_t>(pair >> 16);
}

}  // namespace thriftattn::cuda
