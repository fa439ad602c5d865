// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The rows that a caller appends, read in their own type. The device's conversions round as the
// host's do (numeric/half.h).
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "numeric/bfloat16.h"
#include "numeric/half.h"
#include "thriftattn/tensor.h"

namespace thriftattn::cuda {

template <DType kType>
struct InputRows {
  using Element = std::conditional_t<kType == DType::kF32, float, std::uint16_t>;

  const Element* data;
  std::int64_t token_stride;
  std::int64_t head_stride;

  explicit __device__ InputRows(const ConstTensorView& view)
      : data(static_cast<const Element*>(view.data)),
        token_stride(view.token_stride),
        head_stride(view.head_stride) {}

  [[nodiscard]] __device__ Element at(int token, int head, int dim) const {
    return data[token * token_stride + head * head_stride + dim];
  }
  // Whether it is finite and rounds to a finite half.
  [[nodiscard]] static __device__ bool can_be_stored(Element x) {
    if constexpr (kType == DType::kF32) {
      return fabsf(x) < numeric::kHalfOverflow;
    } else if constexpr (kType == DType::kF16) {
      return (x & 0x7c00) != 0x7c00;
    } else {
      return (x & 0x7fff) < 0x4780;  // 65536, the first bfloat16 beyond kHalfOverflow
    }
  }
  [[nodiscard]] static __device__ float value(Element x) {
    if constexpr (kType == DType::kF32) {
      return x;
    } else if constexpr (kType == DType::kF16) {
      return numeric::half_to_float(half_t{x});
    } else {
      return numeric::bfloat16_to_float(x);
    }
  }
  [[nodiscard]] static __device__ std::uint16_t half_bits(Element x) {
    if constexpr (kType == DType::kF16) {
      return x;
    } else {
      return __half_as_ushort(__float2half_rn(value(x)));
    }
  }
};

// Calls use(InputRows<the view's type>).
template <class Use>
__device__ auto with_rows(const ConstTensorView& view, Use use) {
  if (view.dtype == DType::kF32) return use(InputRows<DType::kF32>(view));
  if (view.dtype == DType::kF16) return use(InputRows<DType::kF16>(view));
  return use(InputRows<DType::kBF16>(view));
}

}  // namespace thriftattn::cuda
