// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Views of memory that somebody else owns.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"

namespace thriftattn {

enum class DType : std::uint8_t { kF32, kF16, kBF16 };

// A view [tokens, heads, dim]; dim is contiguous, the two strides count elements.
template <class Void>
struct BasicTensorView {
  Void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  std::int64_t dim = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  [[nodiscard]] bool empty() const { return data == nullptr; }

  // Rows packed one after the other: token_stride = heads * dim.
  static BasicTensorView packed(Void* data, DType dtype, std::int64_t tokens, std::int64_t heads,
                                std::int64_t dim) {
    return {data, dtype, tokens, heads, dim, heads * dim, dim};
  }
};
using TensorView = BasicTensorView<void>;
using ConstTensorView = BasicTensorView<const void>;

// Decodes `n` elements of a stored row to fp32. The signature is ggml's to_float, on purpose.
using RowDecoder = void (*)(const void* row, float* out, std::int64_t n);

// The 64 rows of a block of one kv head, one row a token: the high tier, read in place.
struct RowsView {
  const void* data = nullptr;     // first element of token 0
  std::int64_t stride_bytes = 0;  // from token to token
  RowDecoder decode = nullptr;    // nullptr: rows are IEEE half
};

}  // namespace thriftattn
