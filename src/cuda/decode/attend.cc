// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend on a device: checks, then the chain of kernels.
//
//   from scratch   score -> select -> attend
//   with a state   attend -> select, whose sets the next step reads
//
// An append of the call's own tokens comes first or, where attend reads what it needs of them from
// where the caller has it, last: select does it, or an append behind a call that has no select.
#include <algorithm>
#include <climits>
#include <cmath>
#include <string>
#include <vector>

#include "cuda/cache/cache_impl.h"
#include "cuda/decode/choices.h"
#include "cuda/decode/cluster_parts.h"
#include "cuda/decode/plan.h"
#include "engine/validate.h"
#include "kv/append_checks.h"
#include "numeric/dtype.h"

namespace thriftattn {
namespace cuda {
namespace {

constexpr double kLog2E = 1.44269504088896341;
Status check_selection(const Selection& selection, bool channel_bounds) {
  if (Status s = engine::validate_selection(selection); !s.ok()) return s;
  if (selection.budget.kind == Budget::Kind::kMass) {
    return unsupported("budget kMass on a CUDA device: supported kFraction, kCount, kAll");
  }
  if (selection.policy > Policy::kQuest) {
    return unsupported("policy " + std::to_string(static_cast<int>(selection.policy)) +
                       " on a CUDA device: supported fp4_mass, block_mean, quest");
  }
  if (selection.policy == Policy::kQuest && !channel_bounds) {
    return unsupported(
        "policy quest: the cache keeps no channel bounds; create it with channel_bounds");
  }
  if (!selection.force_own) {
    return unsupported("force_own = false on a CUDA device: own blocks are always promoted");
  }
  return {};
}

Status check_plan(const CudaAttendParams& params, const CudaKvCache& cache,
                  const CudaAttendPlan::Impl& plan) {
  const CudaKvCacheConfig& config = cache.config();
  const int max_blocks = cache.impl().view().max_blocks;
  if (plan.device != config.device || plan.head_dim != config.head_dim ||
      plan.high_tier != config.high_tier || plan.kv_heads != config.kv_heads ||
      plan.max_blocks < max_blocks) {
    return invalid_argument("the plan was made for another cache");
  }
  if (params.q.heads != plan.q_heads) {
    return invalid_argument("q has " + std::to_string(params.q.heads) + " heads, the plan " +
                            std::to_string(plan.q_heads));
  }
  if (params.sequences.size() > static_cast<std::size_t>(plan.max_sequences)) {
    return invalid_argument(std::to_string(params.sequences.size()) +
                            " sequences: the plan has room for " +
                            std::to_string(plan.max_sequences));
  }
  if (params.state == nullptr) return {};
  const CudaAttendState::Impl& state = params.state->impl();
  if (state.cache != &cache.impl() || state.q_heads != plan.q_heads) {
    return invalid_argument("the state belongs to another cache or number of q heads");
  }
  return {};
}

// Whose tokens the call appends.
enum class Fresh : bool { kNone, kAll };

Status check_rows(const CudaAttendParams& params, const CudaKvCache& cache,
                  const CudaAttendPlan::Impl& plan, Fresh fresh) {
  std::vector<bool> named(static_cast<std::size_t>(cache.config().max_sequences), false);
  for (std::size_t i = 0; i < params.sequences.size(); ++i) {
    const SequenceId id = params.sequences[i];
    const Result<std::int64_t> length = cache.length(id);
    if (!length.ok()) return length.status();
    if (named[id]) return invalid_argument("sequence " + std::to_string(id) + ": named twice");
    named[id] = true;
    const std::int64_t q_len = params.q_offsets[i + 1] - params.q_offsets[i];
    const std::int64_t tokens = length.value() + (fresh == Fresh::kAll ? q_len : 0);
    if (q_len > plan.max_q_len || q_len > tokens) {
      return invalid_argument("sequence " + std::to_string(id) + " has " + std::to_string(q_len) +
                              " rows of q and " + std::to_string(tokens) +
                              " tokens; the plan takes " + std::to_string(plan.max_q_len));
    }
  }
  return {};
}

Status check(const CudaAttendParams& params, const CudaKvCache& cache,
             const CudaAttendPlan::Impl& plan, Fresh fresh) {
  const CudaKvCacheConfig& config = cache.config();
  if (params.q_offsets.size() != params.sequences.size() + 1) {
    return invalid_argument("q_offsets has " + std::to_string(params.q_offsets.size()) +
                            " entries for " + std::to_string(params.sequences.size()) +
                            " sequences: supported sequences + 1");
  }
  if (Status s = engine::validate_tensors(params.q, params.out, params.q_offsets, config.kv_heads,
                                          config.head_dim);
      !s.ok()) {
    return s;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(params.q.data);
  if (address % 16 != 0 || params.q.token_stride % 8 != 0 || params.q.head_stride % 8 != 0) {
    return invalid_argument("q rows must begin at multiples of 16 bytes");
  }
  if (params.q.dtype == DType::kF32) {
    return unsupported("q dtype F32 on a CUDA device: supported F16, BF16");
  }
  if (Status s = engine::validate_softmax_scale(params.softmax_scale); !s.ok()) return s;
  if (params.softmax_scale < 0) {
    return invalid_argument("softmax_scale " + std::to_string(params.softmax_scale) +
                            ": supported 0 (the default) or more");
  }
  if (Status s = engine::validate_crossover(params.crossover_tokens); !s.ok()) return s;
  if (Status s = check_selection(params.selection, config.channel_bounds); !s.ok()) return s;
  if (Status s = check_plan(params, cache, plan); !s.ok()) return s;
  return check_rows(params, cache, plan, fresh);
}

CallShape make_shape(const CudaAttendParams& params, int q_heads, int kv_heads) {
  CallShape shape;
  shape.batch = static_cast<int>(params.sequences.size());
  shape.q_heads = q_heads;
  shape.group = q_heads / kv_heads;
  for (int i = 0; i < shape.batch; ++i) {
    shape.sequence[i] = params.sequences[i];
    shape.q_begin[i + 1] = static_cast<int>(params.q_offsets[i + 1]);
    const int rows = (shape.q_begin[i + 1] - shape.q_begin[i]) * shape.group;
    const int tiles = (rows + kPanelRows - 1) / kPanelRows;
    shape.panel_begin[i + 1] = shape.panel_begin[i] + kv_heads * tiles;
  }
  shape.panels = shape.panel_begin[shape.batch];
  shape.panels_each = shape.batch > 0 ? shape.panels / shape.batch : 0;
  for (int i = 0; i < shape.batch; ++i) {
    if (shape.panel_begin[i + 1] != (i + 1) * shape.panels_each) shape.panels_each = 0;
  }
  return shape;
}

// Addresses [begin, end).
struct Memory {
  std::uintptr_t begin;
  std::uintptr_t end;

  Memory(const void* data, std::int64_t bytes)
      : begin(reinterpret_cast<std::uintptr_t>(data)),
        end(begin + static_cast<std::uintptr_t>(bytes)) {}
  // From the first element to the last one. Strides are not negative.
  template <class View>
  explicit Memory(const View& view)
      : Memory(view.data, view.tokens <= 0 || view.heads <= 0
                              ? 0
                              : (view.token_stride * (view.tokens - 1) +
                                 view.head_stride * (view.heads - 1) + view.dim) *
                                    numeric::dtype_bytes(view.dtype)) {}

  [[nodiscard]] bool meets(const Memory& other) const {
    return begin < other.end && other.begin < end;
  }
};

// One attend call, whose parts are enqueued in turn.
class Call {
 public:
  Call(const CudaAttendParams& params, const CudaKvCache& cache, CudaAttendPlan::Impl& plan,
       cudaStream_t stream, Fresh fresh = Fresh::kNone)
      : params_(params), cache_(cache), plan_(plan), stream_(stream), fresh_(fresh) {
    const Selection& selection = params.selection;
    sets_ = params.state != nullptr ? &params.state->impl().sets : &plan.scratch;
    decode_.cache = cache.impl().view();
    decode_.q = params.q.data;
    decode_.q_type = params.q.dtype;
    decode_.q_token_stride = params.q.token_stride;
    decode_.q_head_stride = params.q.head_stride;
    const double scale =
        params.softmax_scale != 0 ? params.softmax_scale : 1.0 / std::sqrt(double(plan.head_dim));
    decode_.scale_log2 = static_cast<float>(scale * kLog2E);
    tau_ = static_cast<float>(selection.tau);
    dense_ = selection.budget.kind == Budget::Kind::kAll || all_short();
    const std::int64_t crossover = dense_ ? INT_MAX : params.crossover_tokens;
    decode_.crossover = static_cast<int>(std::min<std::int64_t>(crossover, INT_MAX));
    decode_.sink = selection.force_sink ? 1 : 0;
    decode_.sets = sets_->sets.data();
    decode_.lists = sets_->lists.data();
    decode_.masses = plan.masses.data();
    decode_.fates = plan.fates.data();
    decode_.row_lse = plan.row_lse.data();
    decode_.slots = plan.slots;
    decode_.headers = plan.headers.data();
    decode_.partials = plan.partials.data();
    decode_.arrivals = plan.arrivals.data();
    // Ranks come between a decode kernel and its select.
    const bool chained = !dense_ && selection.policy == Policy::kFp4Mass;
    ready_ = chained ? plan.ready.data() : nullptr;
    decode_.shape = make_shape(params, plan.q_heads, plan.kv_heads);
    decode_.floor_log2 = plan.floor.data();
  }

  // Whether the call is one pass of one token a sequence, whose rows it can read: what an append
  // can follow.
  [[nodiscard]] bool can_lead_append(const ConstTensorView& k, const ConstTensorView& v) const {
    if (params_.q.tokens == 0 || !can_load_pairs(k) || !can_load_pairs(v)) return false;
    const std::int64_t lse_bytes =
        params_.lse == nullptr ? 0 : 4 * params_.q.tokens * plan_.q_heads;
    for (const Memory& in : {Memory(k), Memory(v)}) {  // read once more behind the call
      if (in.meets(Memory(params_.out)) || in.meets({params_.lse, lse_bytes})) return false;
    }
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 1) return false;
    }
    return dense_ || (params_.state != nullptr && all_primed());
  }

  // Whether a call that leads an append does it itself, in its select.
  [[nodiscard]] bool appends() const {
    return !dense_ && params_.state != nullptr && params_.refresh;
  }

  // Rows of the call's tokens, whose pages were taken, that are not in the cache yet.
  void read_fresh(const ConstTensorView& k, const ConstTensorView& v) {
    decode_.fresh = {1, k, v};
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      decode_.new_page[i] = cache_.impl().find(params_.sequences[i])->new_page;
    }
  }

  Status run() {
    plan_.last = decode_.shape;
    plan_.last_cache = decode_.cache;
    plan_.append_was_behind = decode_.fresh.present != 0;
    plan_.called = true;
    if (decode_.shape.panels == 0) return {};
    if (dense_) return attend();
    const StepWork work = step_work();
    decode_.prefetch = prefetch_of_step(work);
    const bool scratch = params_.state == nullptr || !all_primed();
    if (scratch) {
      if (Status s = score(); !s.ok()) return s;
      if (Status s = select(plan_.floor.data(), nullptr); !s.ok()) return s;
    } else if (tau_ > 0) {
      tail_by_ =
          plan_.tail_by != TailBy::kNone ? plan_.tail_by : tail_of_step(work, params_.tail_always);
      if (tail_by_ == TailBy::kNone) tau_ = 0;
    }
    const bool chooses = params_.state != nullptr && (params_.refresh || scratch);
    decode_.ready = chooses ? ready_ : nullptr;
    if (Status s = attend(); !s.ok()) return s;
    if (!chooses) return {};
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 0) params_.state->impl().primed[params_.sequences[i]] = true;
    }
    return select(plan_.row_lse.data(), tau_ > 0 ? plan_.fates.data() : nullptr);
  }

 private:
  [[nodiscard]] bool all_short() const {
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (length(i) >= params_.crossover_tokens) return false;
    }
    return true;
  }
  // Tokens of a sequence of the call.
  [[nodiscard]] std::int64_t length(std::size_t i) const {
    return cache_.length(params_.sequences[i]).value() + (fresh_ == Fresh::kAll ? q_len(i) : 0);
  }
  [[nodiscard]] std::int64_t q_len(std::size_t i) const {
    return params_.q_offsets[i + 1] - params_.q_offsets[i];
  }
  // Of the sequences that have rows of q; 1 or more.
  [[nodiscard]] std::int64_t longest_blocks() const {
    std::int64_t longest = 1;
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 0) longest = std::max(longest, kv::blocks_of(length(i)));
    }
    return longest;
  }
  [[nodiscard]] bool all_primed() const {
    const std::vector<bool>& primed = params_.state->impl().primed;
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 0 && !primed[params_.sequences[i]]) return false;
    }
    return true;
  }

  // Blocks of all panels, open ones among them.
  [[nodiscard]] std::int64_t panel_blocks() const {
    const CallShape& shape = decode_.shape;
    std::int64_t blocks = 0;
    for (int i = 0; i < shape.batch; ++i) {
      const int panels = shape.panel_begin[i + 1] - shape.panel_begin[i];
      blocks += kv::blocks_of(length(static_cast<std::size_t>(i))) * panels;
    }
    return blocks;
  }
  [[nodiscard]] StepWork step_work() const {
    return {decode_.shape.panels,
            panel_blocks(),
            decode_.shape.batch,
            std::min<std::int64_t>(longest_blocks(), plan_.max_blocks),
            plan_.kv_heads * DeviceTileLayout{plan_.head_dim}.k_bytes(),
            plan_.shape.ctas,
            plan_.shape.attend_warps};
  }
  [[nodiscard]] DenseWork dense_work() const {
    return {decode_.shape.panels, longest_blocks(), panel_blocks(),
            2 * DeviceTileLayout{plan_.head_dim}.high_bytes()};
  }

  Status score() {
    DecodeArgs args = decode_;
    args.row_lse = plan_.floor.data();
    args.ready = ready_;
    return to_status(plan_.kernels->score(args, plan_.shape, stream_), "score kernel");
  }

  Status select(const float* row_lse, const std::uint8_t* fates) {
    const Selection& selection = params_.selection;
    SelectArgs args{.cache = decode_.cache,
                    .masses = plan_.masses.data(),
                    .row_lse = row_lse,
                    .ready = ready_,
                    .headers = plan_.headers.data(),
                    .fates = fates,
                    .sets = sets_->sets.data(),
                    .lists = sets_->lists.data(),
                    .budget = selection.budget,
                    .tau = tau_,
                    .sink = decode_.sink,
                    .fresh = decode_.fresh,
                    .numerics = cache_.config().numerics,
                    .votes = plan_.votes.data(),
                    .attended = plan_.attended.data(),
                    .shape = decode_.shape,
                    .new_page = {}};
    if (args.fresh.present != 0) std::copy_n(decode_.new_page, args.shape.batch, args.new_page);
    if (selection.policy != Policy::kFp4Mass) {
      if (Status s = rank(); !s.ok()) return s;
      args.ranks = plan_.ranks.data();
    }
    const Status s = to_status(launch_select(args, static_cast<int>(longest_blocks()), stream_),
                               "select kernel");
    if (!s.ok() && ready_ != nullptr) {  // nobody has read the words
      cudaMemsetAsync(ready_, 0, static_cast<std::size_t>(plan_.ready.bytes()), stream_);
    }
    return s;
  }

  Status rank() {
    const RankArgs args{.cache = decode_.cache,
                        .q = decode_.q,
                        .q_type = decode_.q_type,
                        .q_token_stride = decode_.q_token_stride,
                        .q_head_stride = decode_.q_head_stride,
                        .ranks = plan_.ranks.data(),
                        .quest = params_.selection.policy == Policy::kQuest,
                        .shape = decode_.shape};
    return to_status(launch_rank(args, stream_), "rank kernel");
  }

  Status attend() {
    DecodeArgs args = decode_;
    args.out = params_.out.data;
    args.out_type = params_.out.dtype;
    args.out_token_stride = params_.out.token_stride;
    args.out_head_stride = params_.out.head_stride;
    args.lse = params_.lse;
    if (!dense_ && tau_ > 0) args.tail = tail_by_;
    const bool appends = args.fresh.present != 0;
    const DecodeKernels& kernels = appends ? *plan_.append_kernels : *plan_.kernels;
    DecodeShape grid = appends ? plan_.append_shape : plan_.shape;
    auto* kernel = dense_ ? kernels.dense : kernels.attend;
    if (dense_ && kernels.dense_cluster != nullptr) {
      const ClusterSize cluster = cluster_size(dense_work(), grid);
      args.parts = cluster.ctas;
      if (cluster.ctas > 0) {
        kernel = kernels.dense_cluster;
        grid.dense_warps = cluster.warps;
      }
    }
    plan_.cluster_ctas = args.parts;
    plan_.dense_warps = grid.dense_warps;
    return to_status(kernel(args, grid, stream_), "decode kernel");
  }

  const CudaAttendParams& params_;
  const CudaKvCache& cache_;
  CudaAttendPlan::Impl& plan_;
  cudaStream_t stream_;
  Fresh fresh_;  // tokens that the host's lengths do not count yet
  SetsBuffer* sets_ = nullptr;
  DecodeArgs decode_;
  float tau_ = 0;
  TailBy tail_by_ = TailBy::kLse;  // from scratch
  bool dense_ = false;
  std::uint32_t* ready_ = nullptr;  // of kernels that a select follows at once
};

}  // namespace
}  // namespace cuda

Status attend(const CudaAttendParams& params, const CudaKvCache& cache, CudaAttendPlan& plan,
              CudaStream stream) {
  if (Status s = cuda::check(params, cache, plan.impl(), cuda::Fresh::kNone); !s.ok()) return s;
  const cuda::DeviceScope scope(plan.impl().device);
  return cuda::Call(params, cache, plan.impl(), static_cast<cudaStream_t>(stream.handle)).run();
}

Status append_and_attend(const CudaAttendParams& params, const ConstTensorView& k,
                         const ConstTensorView& v, CudaKvCache& cache, CudaAttendPlan& plan,
                         CudaStream stream) {
  using cuda::Fresh;
  if (Status s = cuda::check(params, cache, plan.impl(), Fresh::kAll); !s.ok()) return s;
  const cuda::DeviceScope scope(plan.impl().device);
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  cuda::Call call(params, cache, plan.impl(), handle, Fresh::kAll);
  cuda::AppendRequest request{params.sequences, params.q_offsets, k, v};
  if (call.can_lead_append(k, v)) {
    request.attended = call.appends() ? nullptr : plan.impl().attended.data();
    request.attend = [&] {
      call.read_fresh(k, v);
      return call.run();
    };
    return cuda::append(cache.impl(), request, stream);
  }
  if (Status s = cuda::append(cache.impl(), request, stream); !s.ok()) return s;
  return cuda::Call(params, cache, plan.impl(), handle).run();
}

}  // namespace thriftattn
