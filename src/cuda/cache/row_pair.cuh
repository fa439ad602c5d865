// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Two dims of a new row at a time, as halves. For rows of which can_load_pairs() is true
// (cache/append.h); cache/input.cuh reads all others. Little code: what a decode step runs once
// comes from far away.
#pragma once

#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/common/tile_layout.h"
#include "thriftattn/tensor.h"

namespace thriftattn::cuda {

struct RowPair {
  static const __device__ std::uint16_t* at(const ConstTensorView& from, int token, int head,
                                            int dim) {
    return static_cast<const std::uint16_t*>(from.data) +
           (static_cast<int>(from.token_stride) * token +
            static_cast<int>(from.head_stride) * head + dim);
  }
  static __device__ std::uint32_t load(const ConstTensorView& from, int token, int head, int dim) {
    const std::uint32_t x = *reinterpret_cast<const std::uint32_t*>(at(from, token, head, dim));
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
  // 0 for what is not finite.
  static __device__ float2 values(std::uint32_t half2) {
    return is_finite(half2) ? __half22float2(ptx::as_half2(half2)) : make_float2(0, 0);
  }
  // As row `slot` of a block whose rows of K, or of V, begin at `high`; dim is even.
  static __device__ void store_key(std::byte* high, DeviceTileLayout layout, int slot, int dim,
                                   std::uint32_t half2) {
    *reinterpret_cast<std::uint32_t*>(high + layout.high_k(slot, dim)) = half2;
  }
  static __device__ void store_value(std::byte* high, DeviceTileLayout layout, int slot, int dim,
                                     std::uint32_t half2) {
    std::byte* to = high + layout.high_v(slot, dim);
    *reinterpret_cast<std::uint16_t*>(to) = static_cast<std::uint16_t>(half2);
    *reinterpret_cast<std::uint16_t*>(to + layout.high_v(0, 1)) =
        static_cast<std::uint16_t>(half2 >> 16);
  }
};

}  // namespace thriftattn::cuda
