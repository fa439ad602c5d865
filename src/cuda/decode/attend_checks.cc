// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/attend_checks.h"

#include <string>
#include <vector>

#include "cuda/cache/cache_impl.h"
#include "engine/validate.h"

namespace thriftattn::cuda {
namespace {

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

}  // namespace

Status check_attend(const CudaAttendParams& params, const CudaKvCache& cache,
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

}  // namespace thriftattn::cuda
