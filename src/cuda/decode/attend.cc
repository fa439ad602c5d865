// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend on a device: checks, then the chain of kernels.
//
//   from scratch   score -> select -> attend
//   with a state   attend -> select, whose sets the next step reads
//
// The call's own tokens are appended first or, where they are one a sequence at most, last, by what
// comes behind attend: it adds them to attend's results (fresh_token.cuh). That is select or,
// behind a call that has none, a kernel of its own.
#include <algorithm>
#include <climits>
#include <cmath>
#include <string>
#include <vector>

#include "cuda/cache/cache_impl.h"
#include "cuda/decode/attend_checks.h"
#include "cuda/decode/choices.h"
#include "cuda/decode/cluster_parts.h"
#include "cuda/decode/plan.h"
#include "kv/append_checks.h"
#include "numeric/dtype.h"

namespace thriftattn {
namespace cuda {
namespace {

constexpr double kLog2E = 1.44269504088896341;

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
    decode_.out = params.out.data;
    decode_.out_type = params.out.dtype;
    decode_.out_token_stride = params.out.token_stride;
    decode_.out_head_stride = params.out.head_stride;
    decode_.lse = params.lse;
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

  // Whether the call is one pass of one token a sequence, which can come behind attend.
  [[nodiscard]] bool can_lead_append(const ConstTensorView& k, const ConstTensorView& v) const {
    if (params_.q.tokens == 0 || !can_load_pairs(k) || !can_load_pairs(v)) return false;
    const std::int64_t lse_bytes =
        params_.lse == nullptr ? 0 : 4 * params_.q.tokens * plan_.q_heads;
    // May be read once more behind the outputs.
    for (const Memory& in : {Memory(params_.q), Memory(k), Memory(v)}) {
      if (in.meets(Memory(params_.out)) || in.meets({params_.lse, lse_bytes})) return false;
    }
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 1) return false;
    }
    return dense_ || (params_.state != nullptr && all_primed());
  }

  // The call's tokens, whose pages were taken and which are not in the cache yet, come behind.
  void lead_append(const ConstTensorView& k, const ConstTensorView& v) {
    leads_append_ = true;
    k_ = k;
    v_ = v;
    if (!dense_) --decode_.crossover;  // attend does not count them
  }

  Status run() {
    plan_.last = decode_.shape;
    plan_.last_cache = decode_.cache;
    plan_.append_was_behind = leads_append_;
    plan_.called = true;
    if (decode_.shape.panels == 0) return {};
    if (dense_) return attend_and_append();
    const StepWork work = step_work();
    decode_.prefetch = prefetch_of_step(work);
    const bool scratch = params_.state == nullptr || !all_primed();
    if (scratch) {
      if (Status s = score(); !s.ok()) return s;
      if (Status s = select(plan_.floor.data(), false); !s.ok()) return s;
    } else if (tau_ > 0) {
      tail_by_ =
          plan_.tail_by != TailBy::kNone ? plan_.tail_by : tail_of_step(work, params_.tail_always);
      if (tail_by_ == TailBy::kNone) tau_ = 0;
    }
    const bool chooses = params_.state != nullptr && (params_.refresh || scratch);
    decode_.ready = chooses ? ready_ : nullptr;
    if (!chooses) return attend_and_append();
    if (Status s = attend(); !s.ok()) return s;
    for (std::size_t i = 0; i < params_.sequences.size(); ++i) {
      if (q_len(i) > 0) params_.state->impl().primed[params_.sequences[i]] = true;
    }
    return select(leads_append_ ? plan_.old_lse.data() : plan_.row_lse.data(), tau_ > 0);
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
    args.lse = nullptr;
    args.row_lse = plan_.floor.data();
    args.ready = ready_;
    return to_status(plan_.kernels->score(args, plan_.shape, stream_), "score kernel");
  }

  // What the call leaves, and its tokens if they come behind.
  FreshArgs fresh_args(const float* row_lse) const {
    FreshArgs args{.cache = decode_.cache,
                   .shape = decode_.shape,
                   .k = k_,
                   .v = v_,
                   .numerics = cache_.config().numerics,
                   .rows = decode_,
                   .out = plan_.old_out.data(),
                   .row_lse = row_lse,
                   .row_used = row_used(),
                   .new_row_lse = plan_.row_lse.data(),
                   .masses = plan_.masses.data(),
                   .fates = plan_.fates.data(),
                   .votes = plan_.votes.data(),
                   .attended = plan_.attended.data(),
                   .new_page = {}};
    for (std::size_t i = 0; leads_append_ && i < params_.sequences.size(); ++i) {
      args.new_page[i] = cache_.impl().find(params_.sequences[i])->new_page;
    }
    return args;
  }
  // nullptr: of all rows, all weights met V.
  [[nodiscard]] float* row_used() const {
    return leads_append_ && !dense_ && tau_ > 0 ? plan_.old_used.data() : nullptr;
  }

  Status select(const float* row_lse, bool tail_by_fate) {
    const Selection& selection = params_.selection;
    SelectArgs args;
    static_cast<FreshArgs&>(args) = fresh_args(row_lse);
    args.appends = leads_append_;
    args.ready = ready_;
    args.headers = plan_.headers.data();
    args.tail_by_fate = tail_by_fate;
    args.sets = sets_->sets.data();
    args.lists = sets_->lists.data();
    args.budget = selection.budget;
    args.tau = tau_;
    args.sink = decode_.sink;
    if (selection.policy != Policy::kFp4Mass) {
      if (Status s = rank(); !s.ok()) return s;
      args.ranks = plan_.ranks.data();
    }
    const Status s = to_status(
        launch_select(args, static_cast<int>(longest_blocks()), plan_.shape.shared_limit, stream_),
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
    if (leads_append_) {  // out and lse are written when the tokens are added
      args.out = plan_.old_out.data();
      args.out_type = DType::kF32;
      args.out_token_stride = std::int64_t{plan_.q_heads} * plan_.head_dim;
      args.out_head_stride = plan_.head_dim;
      args.lse = nullptr;
      args.row_lse = plan_.old_lse.data();
      args.row_used = row_used();
    }
    if (!dense_ && tau_ > 0) args.tail = tail_by_;
    const DecodeKernels& kernels = *plan_.kernels;
    DecodeShape grid = plan_.shape;
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
  // Where no select follows.
  Status attend_and_append() {
    const Status s = attend();
    if (!s.ok() || !leads_append_) return s;
    return to_status(launch_append_fresh(fresh_args(plan_.old_lse.data()), stream_),
                     "append kernel");
  }

  const CudaAttendParams& params_;
  const CudaKvCache& cache_;
  CudaAttendPlan::Impl& plan_;
  cudaStream_t stream_;
  Fresh fresh_;  // tokens that the host's lengths do not count yet
  bool leads_append_ = false;
  ConstTensorView k_;  // where it does
  ConstTensorView v_;
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
  if (Status s = cuda::check_attend(params, cache, plan.impl(), cuda::Fresh::kNone); !s.ok())
    return s;
  const cuda::DeviceScope scope(plan.impl().device);
  return cuda::Call(params, cache, plan.impl(), static_cast<cudaStream_t>(stream.handle)).run();
}

Status append_and_attend(const CudaAttendParams& params, const ConstTensorView& k,
                         const ConstTensorView& v, CudaKvCache& cache, CudaAttendPlan& plan,
                         CudaStream stream) {
  using cuda::Fresh;
  if (Status s = cuda::check_attend(params, cache, plan.impl(), Fresh::kAll); !s.ok()) return s;
  const cuda::DeviceScope scope(plan.impl().device);
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  cuda::Call call(params, cache, plan.impl(), handle, Fresh::kAll);
  cuda::AppendRequest request{params.sequences, params.q_offsets, k, v};
  if (call.can_lead_append(k, v)) {
    request.attend = [&] {
      call.lead_append(k, v);
      return call.run();
    };
    return cuda::append(cache.impl(), request, stream);
  }
  if (Status s = cuda::append(cache.impl(), request, stream); !s.ok()) return s;
  return cuda::Call(params, cache, plan.impl(), handle).run();
}

}  // namespace thriftattn
