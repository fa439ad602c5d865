// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The general path: K and V are decoded to fp32 in tiles of 64 keys, and the softmax runs online
// over them. A task is up to 32 rows (token, q head) that share one kv head, so a tile is decoded
// once for its group.
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "flash_problem.h"

// The loops below are plain C++; the loader picks the widest of these builds.
#if defined(__gnu_linux__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define THRIFTATTN_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define THRIFTATTN_VECTOR_CLONES
#endif

namespace thriftattn::plugin {
namespace {

constexpr int kKeys = 64;
constexpr int kRows = 32;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// c[0..63] += sum over i of a[i] * b[i * stride .. + 63]. Zero weights are skipped, not multiplied:
// what they mask may be NaN.
THRIFTATTN_VECTOR_CLONES
void accumulate(const float* a, std::int64_t n, const float* b, std::int64_t stride, float* c) {
  float sum[kKeys];
  for (int j = 0; j < kKeys; ++j) sum[j] = c[j];
  for (std::int64_t i = 0; i < n; ++i) {
    if (a[i] == 0.0f) continue;
    const float* row = b + i * stride;
    for (int j = 0; j < kKeys; ++j) sum[j] += a[i] * row[j];
  }
  for (int j = 0; j < kKeys; ++j) c[j] = sum[j];
}

struct Scratch {
  std::vector<float> q, k, k_transposed, v, out;
  float scores[kKeys];
  float bias[kKeys];
};

// The rows of a task: (token, head) pairs of one group of heads of one stream.
struct Task {
  std::int64_t stream, first_head, group, first_row, rows;
  [[nodiscard]] std::int64_t token(std::int64_t r) const { return (first_row + r) / group; }
  [[nodiscard]] std::int64_t head(std::int64_t r) const {
    return first_head + (first_row + r) % group;
  }
};

class Attention {
 public:
  explicit Attention(const FlashProblem& problem)
      : p_(problem),
        dk_(problem.head_dim()),
        dv_(problem.head_dim_v()),
        v_stride_((dv_ + kKeys - 1) / kKeys * kKeys),
        scale_(problem.softcap != 0 ? problem.scale / problem.softcap : problem.scale) {}

  void run(const Task& task, Scratch& s) const {
    load_q(task, s);
    float maximum[kRows];
    float sum[kRows];
    std::fill_n(maximum, kRows, kMinusInfinity);
    std::fill_n(sum, kRows, 0.0f);
    s.out.assign(static_cast<std::size_t>(kRows * v_stride_), 0.0f);
    for (std::int64_t first = 0; first < p_.kv_len(); first += kKeys) {
      const int keys = static_cast<int>(std::min<std::int64_t>(kKeys, p_.kv_len() - first));
      if (!any_visible(task, first, keys)) continue;
      load_kv(task, first, keys, s);
      for (std::int64_t r = 0; r < task.rows; ++r) {
        score(task, r, first, keys, s);
        update(r, s, maximum[r], sum[r]);
      }
    }
    for (std::int64_t r = 0; r < task.rows; ++r) write(task, r, s, maximum[r], sum[r]);
  }

 private:
  void load_q(const Task& task, Scratch& s) const {
    s.q.resize(static_cast<std::size_t>(kRows * dk_));
    for (std::int64_t r = 0; r < task.rows; ++r) {
      row_to_f32(GGML_TYPE_F32, row_at(p_.q, task.token(r), task.head(r), task.stream),
                 s.q.data() + r * dk_, dk_);
    }
  }

  [[nodiscard]] bool any_visible(const Task& task, std::int64_t first, int keys) const {
    if (!p_.mask) return true;
    for (std::int64_t r = 0; r < task.rows; ++r) {
      const ggml_fp16_t* row = p_.mask_row(task.token(r), task.head(r), task.stream) + first;
      if (!std::all_of(row, row + keys, [](ggml_fp16_t m) { return m == 0xFC00; })) return true;
    }
    return false;
  }

  void load_kv(const Task& task, std::int64_t first, int keys, Scratch& s) const {
    const std::int64_t k_head = task.first_head / (p_.q_heads() / p_.k->ne[2]);
    const std::int64_t v_head = task.first_head / (p_.q_heads() / p_.v->ne[2]);
    const std::int64_t k_stream = task.stream / (p_.streams() / p_.k->ne[3]);
    const std::int64_t v_stream = task.stream / (p_.streams() / p_.v->ne[3]);
    s.k.resize(static_cast<std::size_t>(dk_));
    s.k_transposed.resize(static_cast<std::size_t>(dk_ * kKeys));
    s.v.resize(static_cast<std::size_t>(kKeys * v_stride_));
    for (int j = 0; j < keys; ++j) {
      row_to_f32(p_.k->type, row_at(p_.k, first + j, k_head, k_stream), s.k.data(), dk_);
      for (std::int64_t d = 0; d < dk_; ++d) s.k_transposed[d * kKeys + j] = s.k[d];
      row_to_f32(p_.v->type, row_at(p_.v, first + j, v_head, v_stream), s.v.data() + j * v_stride_,
                 dv_);
    }
  }

  // Scores of one row in s.scores; -inf where it sees nothing.
  void score(const Task& task, std::int64_t r, std::int64_t first, int keys, Scratch& s) const {
    std::fill_n(s.scores, kKeys, 0.0f);
    accumulate(s.q.data() + r * dk_, dk_, s.k_transposed.data(), kKeys, s.scores);
    const float slope = p_.slope(task.head(r));
    if (p_.mask) {
      ggml_fp16_to_fp32_row(p_.mask_row(task.token(r), task.head(r), task.stream) + first, s.bias,
                            keys);
    }
    for (int j = 0; j < kKeys; ++j) {
      float x = s.scores[j] * scale_;
      if (p_.softcap != 0) x = p_.softcap * std::tanh(x);
      if (p_.mask) x = s.bias[j] == kMinusInfinity ? kMinusInfinity : x + slope * s.bias[j];
      s.scores[j] = j < keys ? x : kMinusInfinity;
    }
  }

  void update(std::int64_t r, Scratch& s, float& maximum, float& sum) const {
    float highest = maximum;
    for (const float x : s.scores) highest = std::max(highest, x);
    if (highest == kMinusInfinity) return;
    float* out = s.out.data() + r * v_stride_;
    if (highest != maximum) {
      const float shrink = std::exp(maximum - highest);
      for (std::int64_t d = 0; d < dv_; ++d) out[d] *= shrink;
      sum *= shrink;
      maximum = highest;
    }
    for (float& x : s.scores) {
      x = std::exp(x - highest);
      sum += x;
    }
    for (std::int64_t d = 0; d < v_stride_; d += kKeys) {
      accumulate(s.scores, kKeys, s.v.data() + d, v_stride_, out + d);
    }
  }

  void write(const Task& task, std::int64_t r, Scratch& s, float maximum, float sum) const {
    float factor = 1;
    if (p_.sinks) {
      const float sink = static_cast<const float*>(p_.sinks->data)[task.head(r)];
      const float highest = std::max(maximum, sink);
      factor = std::exp(maximum - highest);
      sum = sum * factor + std::exp(sink - highest);
    }
    const float norm = sum == 0.0f ? 0.0f : factor / sum;
    auto* out = reinterpret_cast<float*>(row_at(p_.out, task.head(r), task.token(r), task.stream));
    for (std::int64_t d = 0; d < dv_; ++d) out[d] = s.out[r * v_stride_ + d] * norm;
  }

  const FlashProblem& p_;
  std::int64_t dk_, dv_, v_stride_;
  float scale_;
};

}  // namespace

void exact_attention(const FlashProblem& p, Executor& executor) {
  const std::int64_t group = std::gcd(p.q_heads() / p.k->ne[2], p.q_heads() / p.v->ne[2]);
  std::vector<Task> tasks;
  for (std::int64_t stream = 0; stream < p.streams(); ++stream) {
    for (std::int64_t head = 0; head < p.q_heads(); head += group) {
      for (std::int64_t row = 0; row < p.tokens() * group; row += kRows) {
        tasks.push_back(
            {stream, head, group, row, std::min<std::int64_t>(kRows, p.tokens() * group - row)});
      }
    }
  }
  const Attention attention(p);
  std::vector<Scratch> scratch(static_cast<std::size_t>(executor.threads()));
  executor.run(static_cast<std::int64_t>(tasks.size()),
               [&](std::int64_t i, int thread) { attention.run(tasks[i], scratch[thread]); });
}

}  // namespace thriftattn::plugin
