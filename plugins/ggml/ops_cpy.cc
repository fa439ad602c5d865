// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"
#include "ops.h"
#include "rows.h"
#include "stats.h"

namespace thriftattn::plugin {

bool cpy_supported(const ggml_tensor* op) {
  const ggml_tensor* from = op->src[0];
  return from->type == GGML_TYPE_F32 && from->nb[0] == sizeof(float) &&
         op->nb[0] == ggml_type_size(op->type) && row_type_supported(op->type) &&
         ggml_are_same_shape(op, from);
}

void cpy(const ggml_tensor* op, Executor& executor) {
  const ggml_tensor* from = op->src[0];
  executor.run(op->ne[2] * op->ne[3], [&](std::int64_t task, int) {
    const std::int64_t i2 = task % op->ne[2];
    const std::int64_t i3 = task / op->ne[2];
    for (std::int64_t i1 = 0; i1 < op->ne[1]; ++i1) {
      row_from_f32(op->type, reinterpret_cast<const float*>(row_at(from, i1, i2, i3)),
                   row_at(op, i1, i2, i3), op->ne[0]);
    }
  });
  if (KvBuffer* buffer = KvBuffer::of(op)) buffer->written(op->data, ggml_nbytes(op), Writer::kCpy);
  count(&Stats::cpy, 1);
}

}  // namespace thriftattn::plugin
