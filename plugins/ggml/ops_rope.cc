// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "buffer.h"
#include "ops.h"
#include "rows.h"
#include "stats.h"

namespace thriftattn::plugin {
namespace {

struct RopeParams {
  std::int32_t rotated = 0;  // leading elements of a row that turn
  std::int32_t offset = 0;   // of the first of them
  std::int32_t trained_tokens = 0;
  bool neox = false;  // pairs (i, i + rotated / 2) in place of (2i, 2i + 1)
  float base = 0, scale = 0, extension = 0, magnitude = 0, beta_fast = 0, beta_slow = 0;
};

RopeParams params_of(const ggml_tensor* op) {
  RopeParams p;
  const std::int32_t* raw = op->op_params;
  p.rotated = raw[1];
  p.neox = raw[2] & GGML_ROPE_TYPE_NEOX;
  p.trained_tokens = raw[4];
  p.offset = raw[15];
  float* const floats[] = {&p.base,      &p.scale,     &p.extension,
                           &p.magnitude, &p.beta_fast, &p.beta_slow};
  for (int i = 0; i < 6; ++i) std::memcpy(floats[i], raw + 5 + i, sizeof(float));
  return p;
}

// cos and sin of every pair of a position, interleaved: [rotated].
void angles(const RopeParams& p, std::int32_t position, const float* factors, float* out) {
  float ramp[2];
  ggml_rope_yarn_corr_dims(p.rotated, p.trained_tokens, p.base, p.beta_fast, p.beta_slow, ramp);
  const float step = std::pow(p.base, -2.0f / static_cast<float>(p.rotated));
  float theta = static_cast<float>(position);
  for (int i = 0; i < p.rotated; i += 2, theta *= step) {
    const float full = theta / (factors ? factors[i / 2] : 1.0f);
    float angle = p.scale * full;
    float magnitude = p.magnitude;
    if (p.extension != 0.0f) {
      // YaRN: slow dimensions are interpolated, fast ones kept, a ramp between them.
      const float at = (static_cast<float>(i / 2) - ramp[0]) / std::max(0.001f, ramp[1] - ramp[0]);
      const float keep = (1.0f - std::clamp(at, 0.0f, 1.0f)) * p.extension;
      angle = angle * (1.0f - keep) + full * keep;
      magnitude *= 1.0f + 0.1f * std::log(1.0f / p.scale);
    }
    out[i] = std::cos(angle) * magnitude;
    out[i + 1] = std::sin(angle) * magnitude;
  }
}

void rotate(const RopeParams& p, const float* turn, float* x) {
  for (int i = 0; i < p.rotated; i += 2) {
    float& a = x[p.offset + (p.neox ? i / 2 : i)];
    float& b = x[p.offset + (p.neox ? i / 2 + p.rotated / 2 : i + 1)];
    const float a0 = a;
    const float b0 = b;
    a = a0 * turn[i] - b0 * turn[i + 1];
    b = a0 * turn[i + 1] + b0 * turn[i];
  }
}

}  // namespace

bool rope_supported(const ggml_tensor* op) {
  const int mode = op->op_params[2];
  const bool plain =
      op->type == GGML_TYPE_F16 || op->type == GGML_TYPE_F32 || op->type == GGML_TYPE_BF16;
  return op->view_src && plain && (mode == GGML_ROPE_TYPE_NORMAL || mode == GGML_ROPE_TYPE_NEOX);
}

void rope(const ggml_tensor* op, Executor& executor) {
  const ggml_tensor* from = op->src[0];
  const RopeParams p = params_of(op);
  const auto* positions = static_cast<const std::int32_t*>(op->src[1]->data);
  const auto* factors = op->src[2] ? static_cast<const float*>(op->src[2]->data) : nullptr;
  const bool still_at_zero = from->data == op->data && p.magnitude == 1.0f && p.extension == 0.0f;
  executor.run(op->ne[2], [&](std::int64_t i2, int) {
    if (positions[i2] == 0 && still_at_zero) return;  // a cell that does not move keeps its bits
    std::vector<float> turn(static_cast<std::size_t>(p.rotated));
    std::vector<float> x(static_cast<std::size_t>(op->ne[0]));
    angles(p, positions[i2], factors, turn.data());
    for (std::int64_t i3 = 0; i3 < op->ne[3]; ++i3) {
      for (std::int64_t i1 = 0; i1 < op->ne[1]; ++i1) {
        row_to_f32(from->type, row_at(from, i1, i2, i3), x.data(), op->ne[0]);
        rotate(p, turn.data(), x.data());
        row_from_f32(op->type, x.data(), row_at(op, i1, i2, i3), op->ne[0]);
      }
    }
  });
  if (KvBuffer* buffer = KvBuffer::of(op))
    buffer->written(op->data, ggml_nbytes(op), Writer::kRope);
  count(&Stats::rope, 1);
}

}  // namespace thriftattn::plugin
