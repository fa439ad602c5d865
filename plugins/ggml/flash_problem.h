// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One FLASH_ATTN_EXT node, read out of ggml's untyped parameters.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "ggml.h"
#include "rows.h"
#include "thriftattn/executor.h"

namespace thriftattn::plugin {

struct FlashProblem {
  const ggml_tensor* q;      // [head_dim, tokens, q_heads, streams] F32
  const ggml_tensor* k;      // [head_dim, kv_len, kv_heads, streams]
  const ggml_tensor* v;      // [head_dim_v, kv_len, kv_heads, streams]
  const ggml_tensor* mask;   // [kv_len, >= tokens, 1 or heads, 1 or streams] F16, or nullptr
  const ggml_tensor* sinks;  // [q_heads] F32, or nullptr
  const ggml_tensor* out;    // [head_dim_v, q_heads, tokens, streams] F32, contiguous
  float scale = 0;
  float max_bias = 0;  // ALiBi
  float softcap = 0;   // 0 = off

  explicit FlashProblem(const ggml_tensor* op)
      : q(op->src[0]), k(op->src[1]), v(op->src[2]), mask(op->src[3]), sinks(op->src[4]), out(op) {
    std::memcpy(&scale, op->op_params, sizeof(float));
    std::memcpy(&max_bias, op->op_params + 1, sizeof(float));
    std::memcpy(&softcap, op->op_params + 2, sizeof(float));
  }

  [[nodiscard]] std::int64_t head_dim() const { return k->ne[0]; }
  [[nodiscard]] std::int64_t head_dim_v() const { return v->ne[0]; }
  [[nodiscard]] std::int64_t tokens() const { return q->ne[1]; }
  [[nodiscard]] std::int64_t q_heads() const { return q->ne[2]; }
  [[nodiscard]] std::int64_t kv_heads() const { return k->ne[2]; }
  [[nodiscard]] std::int64_t streams() const { return q->ne[3]; }
  [[nodiscard]] std::int64_t kv_len() const { return k->ne[1]; }

  // Mask values of one query: [kv_len].
  [[nodiscard]] const ggml_fp16_t* mask_row(std::int64_t token, std::int64_t head,
                                            std::int64_t stream) const {
    return reinterpret_cast<const ggml_fp16_t*>(
        row_at(mask, token, head % mask->ne[2], stream % mask->ne[3]));
  }
  // What a head multiplies its mask values with.
  [[nodiscard]] float slope(std::int64_t head) const {
    if (max_bias <= 0) return 1.0f;
    const auto base =
        static_cast<std::int64_t>(std::exp2(std::floor(std::log2(static_cast<double>(q_heads())))));
    const auto heads = static_cast<float>(base);
    return head < base
               ? std::exp2(-max_bias / heads * static_cast<float>(head + 1))
               : std::exp2(-max_bias / 2 / heads * static_cast<float>(2 * (head - base) + 1));
  }
};

// Attention in fp32 over rows of any type, with sinks, softcap, ALiBi, any mask and head_dim !=
// head_dim_v.
void exact_attention(const FlashProblem& problem, Executor& executor);

}  // namespace thriftattn::plugin
