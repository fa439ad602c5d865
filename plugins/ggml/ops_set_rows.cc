// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <vector>

#include "buffer.h"
#include "ops.h"
#include "rows.h"
#include "stats.h"

namespace thriftattn::plugin {
namespace {

constexpr std::int64_t kRowsPerTask = 16;

std::int64_t index_at(const ggml_tensor* indices, std::int64_t i, std::int64_t i2,
                      std::int64_t i3) {
  const char* at = static_cast<const char*>(indices->data) +
                   i * static_cast<std::int64_t>(indices->nb[0]) +
                   i2 % indices->ne[1] * static_cast<std::int64_t>(indices->nb[1]) +
                   i3 % indices->ne[2] * static_cast<std::int64_t>(indices->nb[2]);
  if (indices->type == GGML_TYPE_I64) {
    std::int64_t row;
    std::memcpy(&row, at, sizeof row);
    return row;
  }
  std::int32_t row;
  std::memcpy(&row, at, sizeof row);
  return row;
}

void convert_row(const ggml_tensor* from, const char* src, const ggml_tensor* to, char* dst,
                 std::vector<float>& scratch) {
  const std::int64_t n = from->ne[0];
  if (from->type == to->type) {
    std::memcpy(dst, src, ggml_row_size(to->type, n));
  } else if (from->type == GGML_TYPE_F32) {
    row_from_f32(to->type, reinterpret_cast<const float*>(src), dst, n);
  } else {
    scratch.resize(static_cast<std::size_t>(n));
    row_to_f32(from->type, src, scratch.data(), n);
    row_from_f32(to->type, scratch.data(), dst, n);
  }
}

// Reports written rows as few ranges: a batch's cells are mostly consecutive.
void report_written(KvBuffer& buffer, std::vector<const char*>& rows, std::size_t row_bytes) {
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t n = 1;
    while (i + n < rows.size() && rows[i + n] == rows[i] + n * row_bytes) ++n;
    buffer.written(rows[i], n * row_bytes, Writer::kSetRows);
    i += n;
  }
}

}  // namespace

bool set_rows_supported(const ggml_tensor* op) {
  return row_type_supported(op->type) &&
         (op->src[0]->type == GGML_TYPE_F32 || op->src[0]->type == GGML_TYPE_F16);
}

void set_rows(const ggml_tensor* op, Executor& executor) {
  const ggml_tensor* from = op->src[0];
  const ggml_tensor* indices = op->src[1];
  const std::int64_t n = from->ne[1];
  KvBuffer* buffer = KvBuffer::of(op);
  if (buffer) buffer->follow(op);
  std::vector<const char*> written(static_cast<std::size_t>(n));
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(executor.threads()));
  for (std::int64_t i3 = 0; i3 < from->ne[3]; ++i3) {
    for (std::int64_t i2 = 0; i2 < from->ne[2]; ++i2) {
      executor.run((n + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task, int thread) {
        const std::int64_t end = std::min(n, (task + 1) * kRowsPerTask);
        for (std::int64_t i = task * kRowsPerTask; i < end; ++i) {
          char* to = row_at(op, index_at(indices, i, i2, i3), i2, i3);
          convert_row(from, row_at(from, i, i2, i3), op, to, scratch[thread]);
          written[i] = to;
        }
      });
      if (buffer) report_written(*buffer, written, op->nb[1]);
    }
  }
  count(&Stats::set_rows, 1);
}

}  // namespace thriftattn::plugin
