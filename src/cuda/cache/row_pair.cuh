// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Two dims of a new row at a time, as halves. For rows of which can_load_pairs() is true
// (cache/append.h); cache/input.cuh reads all others. Little code: what a decode step runs once
// comes from far away.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "thriftattn/tensor.h"

namespace thriftattn::cuda {

struct RowPair {
  static __device__ std::uint32_t load(const ConstTensorView& from, int token, int head, int dim) {
    const auto at = static_cast<int>(from.token_stride) * token +
                    static_cast<int>(from.head_stride) * head + dim;
    const std::uint32_t x =
        *reinterpret_cast<const std::uint32_t*>(static_cast<const std::uint16_t*>(from.data) + at);
    const std::uint32_t half2 =
        from.dtype == DType::kF16
            ? x
            : ptx::pack_half2(__uint_as_float(x << 16), __uint_as_float(x & 0xffff0000u));
    return half2;
  }
  static __device__ bool is_finite(std::uint32_t half2) {
    const std::uint32_t magnitude = half2 & 0x7fff7fffu;
    return (magnitude & 0xffffu) < 0x7c00u && magnitude < 0x7c000000u;
  }
};

}  // namespace thriftattn::cuda
