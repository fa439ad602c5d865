// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// K and V of one attention node as attend wants them: 64 rows of a block of one kv head.
#pragma once

#include <cstdint>

#include "flash_problem.h"
#include "thriftattn/formats.h"
#include "thriftattn/tensor.h"

namespace thriftattn::plugin {

// Strides in bytes.
struct CellRows {
  const char* data = nullptr;
  std::int64_t cell_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t stream_stride = 0;
  RowDecoder decode = nullptr;

  explicit CellRows(const ggml_tensor* t)
      : data(static_cast<const char*>(t->data)),
        cell_stride(static_cast<std::int64_t>(t->nb[1])),
        head_stride(static_cast<std::int64_t>(t->nb[2])),
        stream_stride(static_cast<std::int64_t>(t->nb[3])),
        decode(row_decoder(t->type)) {}

  [[nodiscard]] RowsView rows(std::int64_t stream, std::int64_t block, int head) const {
    return {data + stream * stream_stride + block * kBlockTokens * cell_stride + head * head_stride,
            cell_stride, decode};
  }
};

struct CacheRows {
  CellRows k, v;
  int kv_heads;
  int head_dim;

  explicit CacheRows(const FlashProblem& p)
      : k(p.k),
        v(p.v),
        kv_heads(static_cast<int>(p.kv_heads())),
        head_dim(static_cast<int>(p.head_dim())) {}

  // Whether no V of the cells in `cells` is NaN or infinite.
  [[nodiscard]] bool finite_v(std::int64_t stream, std::int64_t block, std::uint64_t cells) const;
};

}  // namespace thriftattn::plugin
