// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// FLASH_ATTN_EXT: FP4 where the node allows it, else attend in 16 bit, else the general exact path.
#include <chrono>

#include "buffer.h"
#include "cache_source.h"
#include "flash_problem.h"
#include "ops.h"

namespace thriftattn::plugin {
namespace {

// What attend can compute at all, in 16 bit: q K^T, softmax, V, with one head_dim and a plain mask.
bool plain_shape(const FlashProblem& p) {
  return !p.sinks && p.softcap == 0 && p.max_bias == 0 && p.head_dim() == p.head_dim_v() &&
         p.head_dim() % kHeadDimStep == 0 && p.head_dim() >= kMinHeadDim &&
         p.head_dim() <= kMaxHeadDim && p.scale != 0 && p.k->ne[2] == p.v->ne[2] &&
         p.k->ne[3] == p.streams() && p.v->ne[3] == p.streams();
}

// The layer's caches, or nullptr where K or V is no view of a cache in our memory.
KvPair* pair_of(const FlashProblem& p, const CacheRows& rows, std::int64_t blocks) {
  KvBuffer* buffer = KvBuffer::of(p.k);
  if (!buffer || buffer != KvBuffer::of(p.v)) return nullptr;
  KvPair* pair = buffer->pair(p.k, p.v);
  for (std::int64_t s = 0; pair && s < p.streams(); ++s) {
    if (pair->first_block(rows, s, blocks) < 0) return nullptr;
  }
  return pair;
}

ConstTensorView q_view(const FlashProblem& p, std::int64_t stream, std::int64_t tokens) {
  return {.data = row_at(p.q, 0, 0, stream),
          .dtype = DType::kF32,
          .tokens = tokens,
          .heads = p.q_heads(),
          .dim = p.head_dim(),
          .token_stride = static_cast<std::int64_t>(p.q->nb[1] / sizeof(float)),
          .head_stride = static_cast<std::int64_t>(p.q->nb[2] / sizeof(float))};
}

// One stream of a source as a source of its own.
class OneStream final : public KvSource {
 public:
  OneStream(const KvSource& all, int stream) : all_(all), stream_(stream) {}
  [[nodiscard]] int kv_heads() const override { return all_.kv_heads(); }
  [[nodiscard]] int head_dim() const override { return all_.head_dim(); }
  [[nodiscard]] std::int64_t blocks(int) const override { return all_.blocks(stream_); }
  [[nodiscard]] std::uint64_t visible(int, std::int64_t token, std::int64_t block) const override {
    return all_.visible(stream_, token, block);
  }
  [[nodiscard]] std::int64_t own_block(int, std::int64_t token) const override {
    return all_.own_block(stream_, token);
  }
  [[nodiscard]] BlockView block(int, std::int64_t block, int kv_head) const override {
    return all_.block(stream_, block, kv_head);
  }
  [[nodiscard]] std::int64_t low_k_bytes() const override { return all_.low_k_bytes(); }
  [[nodiscard]] std::int64_t low_v_bytes() const override { return all_.low_v_bytes(); }

 private:
  const KvSource& all_;
  int stream_;
};

// With sets one step old: once for what each token would choose, once with what it gets.
Status attend_lagged(AttendParams params, const KvSource& source, LaggedSets& sets,
                     int first_stream) {
  AttendTrace trace;
  AttendReport* report = params.report;
  params.report = nullptr;
  params.trace = &trace;
  if (Status s = attend(params, source); !s.ok()) return s;
  const AttendTrace shifted = sets.shift(trace, first_stream);
  params.report = report;
  params.trace = nullptr;
  params.options.replay = &shifted;
  return attend(params, source);
}

// `sets`: nullptr, or where the streams' last sets are kept.
Status attend_streams(const FlashProblem& p, const CacheSource& source, AttendOptions options,
                      LaggedSets* sets, Executor& executor, AttendReport& report) {
  options.softmax_scale = p.scale;
  const std::int64_t stream_tokens = p.tokens();
  // Usually the streams' queries lie one after the other, and one call keeps all threads busy.
  const bool together =
      p.streams() == 1 || p.q->nb[3] == static_cast<std::size_t>(stream_tokens) * p.q->nb[1];
  const std::int64_t calls = together ? 1 : p.streams();
  const std::int64_t streams = together ? p.streams() : 1;
  std::vector<std::int64_t> offsets;
  for (std::int64_t s = 0; s <= streams; ++s) offsets.push_back(s * stream_tokens);
  for (std::int64_t call = 0; call < calls; ++call) {
    AttendParams params;
    params.q = q_view(p, call, offsets.back());
    params.out = TensorView::packed(row_at(p.out, 0, 0, call), DType::kF32, offsets.back(),
                                    p.q_heads(), p.head_dim());
    params.q_offsets = offsets;
    params.options = options;
    params.executor = &executor;
    params.report = &report;
    const OneStream one(source, static_cast<int>(call));
    const KvSource& from = together ? static_cast<const KvSource&>(source) : one;
    const Status s =
        sets ? attend_lagged(params, from, *sets, static_cast<int>(call)) : attend(params, from);
    if (!s.ok()) return s;
  }
  return {};
}

// Seals and checks, then attends. `options.exact` says that no low tier is used.
Status attend_cache(const FlashProblem& p, const MaskBits& mask, const CacheRows& rows,
                    KvPair* pair, const Options& options, Executor& executor, Stats& stats) {
  AttendOptions attend_with = attend_options(options);
  if (!options.exact) {
    if (Status s = pair->prepare(rows, options); !s.ok()) return s;
    attend_with.numerics = pair->store().config().numerics;
  }
  CacheSource source(rows, mask, pair, options);
  for (std::int64_t stream = 0; stream < p.streams(); ++stream) {
    const std::vector<BlockNeed> needs = mask.needs(stream);
    if (!options.exact) {
      Status s = pair->refresh(rows, stream, needs, options, executor, stats);
      if (s.ok() && options.verify) s = pair->verify(rows, stream, mask.blocks(), stats);
      if (!s.ok()) return s;
    }
    source.add_stream(stream, needs, p.tokens() > 1);
  }
  AttendReport report;
  LaggedSets* sets = !options.exact && options.set_lag == 1 ? &pair->lagged_sets() : nullptr;
  if (Status s = attend_streams(p, source, attend_with, sets, executor, report); !s.ok()) return s;
  if (!options.exact) add_report(stats, report);
  return {};
}

Status compute(const FlashProblem& p, Options options, Executor& executor, Stats& stats) {
  const CacheRows rows(p);
  MaskBits mask;
  const bool plain = plain_shape(p) && mask.build(p, executor);
  KvPair* pair = plain ? pair_of(p, rows, mask.blocks()) : nullptr;
  options.exact |= !pair || !pair->trusted() || pair->cells() <= options.short_cache_tokens;
  stats.exact_calls = options.exact;
  // Outside a cache the last block must not reach past the rows that exist.
  Status status;
  if (plain && (pair || p.kv_len() % kBlockTokens == 0)) {
    status = attend_cache(p, mask, rows, pair, options, executor, stats);
  } else {
    exact_attention(p, executor);
  }
  if (pair) pair->attended();
  return status;
}

}  // namespace

bool flash_attention_supported(const ggml_tensor* op) {
  const ggml_tensor* q = op->src[0];
  const ggml_tensor* k = op->src[1];
  const ggml_tensor* v = op->src[2];
  const ggml_tensor* mask = op->src[3];
  return q->type == GGML_TYPE_F32 && row_type_supported(k->type) && row_type_supported(v->type) &&
         k->nb[0] == ggml_type_size(k->type) && v->nb[0] == ggml_type_size(v->type) &&
         (!mask || mask->type == GGML_TYPE_F16);
}

std::string flash_attention(const ggml_tensor* op, Executor& executor) {
  const auto start = std::chrono::steady_clock::now();
  Stats stats = {};
  const Status status = compute(FlashProblem(op), current_options(), executor, stats);
  stats.attention_calls = 1;
  stats.attention_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  count(stats);
  return status.message();
}

}  // namespace thriftattn::plugin
