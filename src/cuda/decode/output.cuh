// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How results are written, in the caller's type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/decode/types.h"

namespace thriftattn::cuda {

inline constexpr float kLn2 = 0.693147180559945f;  // lse are log2 inside, and natural logs outside

__device__ inline void store_output(const CallRows& rows, std::int64_t at, float value) {
  if (rows.out_type == DType::kF32) {
    static_cast<float*>(rows.out)[at] = value;
  } else if (rows.out_type == DType::kF16) {
    static_cast<__half*>(rows.out)[at] = __float2half_rn(value);
  } else {
    static_cast<__nv_bfloat16*>(rows.out)[at] = __float2bfloat16_rn(value);
  }
}

}  // namespace thriftattn::cuda
