// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cuda/cache/cache_impl.h"

namespace thriftattn {
namespace cuda {
namespace {

Status check_heads(const CudaKvCacheConfig& config, int q_heads) {
  if (q_heads < 1 || q_heads % config.kv_heads != 0) {
    return invalid_argument(std::to_string(q_heads) +
                            " q heads: supported multiples of the cache's " +
                            std::to_string(config.kv_heads) + " kv heads");
  }
  if (q_heads / config.kv_heads > kMaxGroup) {
    return unsupported(std::to_string(q_heads / config.kv_heads) +
                       " q heads for a kv head: supported up to " + std::to_string(kMaxGroup));
  }
  return {};
}

// Memory of the plan, given its sizes.
Status allocate(const CudaKvCache& cache, CudaAttendPlan::Impl& plan) {
  const std::int64_t panels = plan.max_panels;
  const std::int64_t cells = panels * plan.max_blocks;
  const std::int64_t row_values = std::int64_t{kPanelRows} * plan.head_dim;
  const std::int64_t units = std::int64_t{plan.max_sequences} * plan.kv_heads;
  Status s = allocate_sets(cache, plan.scratch);
  if (s.ok()) s = plan.masses.allocate(cells * kPanelRows, "block masses");
  if (s.ok()) s = plan.fates.allocate(cells, "block fates");
  if (s.ok()) s = plan.row_lse.allocate(panels * kPanelRows, "row lse");
  if (s.ok()) s = plan.floor.allocate(panels * kPanelRows, "row lse");
  if (s.ok()) s = plan.old_lse.allocate(panels * kPanelRows, "row lse");
  if (s.ok()) s = plan.old_used.allocate(panels * kPanelRows, "row weights");
  const std::int64_t rows = std::int64_t{plan.max_sequences} * plan.q_heads;
  if (s.ok()) s = plan.old_out.allocate(rows * plan.head_dim, "output");
  if (s.ok()) s = plan.ranks.allocate(units * plan.max_blocks, "block ranks");
  if (s.ok()) s = plan.headers.allocate(plan.slots.first_piece, "partial sums");
  if (s.ok()) s = plan.partials.allocate(plan.slots.end * row_values, "partial sums");
  if (s.ok()) s = plan.arrivals.allocate(plan.slots.first_piece, "arrival counters");
  if (s.ok()) s = plan.ready.allocate(panels, "ready words");
  if (s.ok()) s = plan.votes.allocate(plan.max_sequences, "votes");
  if (s.ok()) s = plan.attended.allocate(cache.config().max_sequences, "attended lengths");
  return s;
}

}  // namespace

Status allocate_sets(const CudaKvCache& cache, SetsBuffer& buffer) {
  const CudaKvCacheConfig& config = cache.config();
  const std::int64_t units = std::int64_t{config.max_sequences} * config.kv_heads;
  if (Status s = buffer.sets.allocate(units, "sets"); !s.ok()) return s;
  return buffer.lists.allocate(units * cache.impl().view().max_blocks, "block lists");
}

}  // namespace cuda

std::int64_t crossover_tokens(const CudaKvCacheConfig& config, std::int64_t sequences) {
  constexpr std::int64_t kBytes =
      60'000'000;  // where the two meet, in docs/results/h200_decode.json
  if (config.high_tier != HighTier::kRows16 || config.residence != Residence::kDevice) return 0;
  if (sequences < 1 || config.kv_heads < 1 || config.head_dim < 1) return 0;
  const std::int64_t bytes_of_token = std::int64_t{2} * 2 * config.kv_heads * config.head_dim;
  return kBytes / bytes_of_token / sequences;
}

Result<CudaAttendPlan> CudaAttendPlan::create(const CudaKvCache& cache, int q_heads,
                                              int max_sequences, int max_q_len) {
  const CudaKvCacheConfig& config = cache.config();
  if (Status s = cuda::check_heads(config, q_heads); !s.ok()) return s;
  if (cache.impl().view().max_blocks > cuda::kMaxBlocks) {
    return unsupported("max_tokens " + std::to_string(config.max_tokens) +
                       ": attend supports up to " +
                       std::to_string(cuda::kMaxBlocks * kBlockTokens));
  }
  if (max_sequences < 1 || max_sequences > cuda::kMaxSequences) {
    return invalid_argument("max_sequences " + std::to_string(max_sequences) + ": supported 1 to " +
                            std::to_string(cuda::kMaxSequences));
  }
  if (max_q_len < 1 || max_q_len > cuda::kMaxQueryTokens) {
    return invalid_argument("max_q_len " + std::to_string(max_q_len) + ": supported 1 to " +
                            std::to_string(cuda::kMaxQueryTokens));
  }
  auto impl = std::make_unique<Impl>();
  impl->device = config.device;
  impl->q_heads = q_heads;
  impl->max_sequences = max_sequences;
  impl->max_q_len = max_q_len;
  impl->head_dim = config.head_dim;
  impl->high_tier = config.high_tier;
  impl->kv_heads = config.kv_heads;
  impl->max_blocks = cache.impl().view().max_blocks;
  const int rows = q_heads / config.kv_heads * max_q_len;
  impl->max_panels =
      max_sequences * config.kv_heads * ((rows + cuda::kPanelRows - 1) / cuda::kPanelRows);
  impl->kernels = cuda::decode_kernels(config.head_dim, config.high_tier);
  if (impl->kernels == nullptr) {
    return unsupported("head_dim " + std::to_string(config.head_dim) +
                       ": no decode kernel; supported 64, 128, 256");
  }
  const cuda::DeviceScope scope(config.device);
  if (Status s = cuda::to_status(impl->kernels->prepare(impl->shape), "decode kernels"); !s.ok()) {
    return s;
  }
  cudaError_t error = cuda::prepare_select(impl->shape.shared_limit);
  if (error == cudaSuccess) error = cuda::prepare_append_fresh();
  if (Status s = cuda::to_status(error, "kernels behind attend"); !s.ok()) return s;
  impl->slots = {impl->shape.ctas, impl->max_panels};
  if (impl->slots.first_piece >> cuda::PanelReady::kFirstBits != 0) {
    return unsupported(std::to_string(impl->max_panels) +
                       " panels of 8 rows: supported about 1.9 million");
  }
  if (Status s = cuda::allocate(cache, *impl); !s.ok()) return s;
  return CudaAttendPlan(std::move(impl));
}

CudaAttendPlan::CudaAttendPlan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CudaAttendPlan::CudaAttendPlan(CudaAttendPlan&&) noexcept = default;
CudaAttendPlan& CudaAttendPlan::operator=(CudaAttendPlan&&) noexcept = default;
CudaAttendPlan::~CudaAttendPlan() = default;

std::int64_t CudaAttendPlan::device_bytes() const {
  const Impl& p = *impl_;
  return p.scratch.sets.bytes() + p.scratch.lists.bytes() + p.masses.bytes() + p.fates.bytes() +
         p.row_lse.bytes() + p.floor.bytes() + p.old_lse.bytes() + p.old_used.bytes() +
         p.old_out.bytes() + p.ranks.bytes() + p.headers.bytes() + p.partials.bytes() +
         p.arrivals.bytes() + p.ready.bytes() + p.votes.bytes() + p.attended.bytes();
}

Result<CudaAttendState> CudaAttendState::create(const CudaKvCache& cache, int q_heads) {
  const CudaKvCacheConfig& config = cache.config();
  if (Status s = cuda::check_heads(config, q_heads); !s.ok()) return s;
  auto impl = std::make_unique<Impl>();
  impl->device = config.device;
  impl->q_heads = q_heads;
  impl->cache = &cache.impl();
  impl->primed.resize(static_cast<std::size_t>(config.max_sequences), false);
  const cuda::DeviceScope scope(config.device);
  if (Status s = cuda::allocate_sets(cache, impl->sets); !s.ok()) return s;
  return CudaAttendState(std::move(impl));
}

CudaAttendState::CudaAttendState(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CudaAttendState::CudaAttendState(CudaAttendState&&) noexcept = default;
CudaAttendState& CudaAttendState::operator=(CudaAttendState&&) noexcept = default;
CudaAttendState::~CudaAttendState() = default;

Status CudaAttendState::reset(SequenceId sequence, CudaStream stream) {
  if (sequence < 0 || static_cast<std::size_t>(sequence) >= impl_->primed.size()) {
    return {StatusCode::kNotFound, "sequence " + std::to_string(sequence) + ": unknown"};
  }
  impl_->primed[sequence] = false;
  const cuda::DeviceScope scope(impl_->device);
  const auto kv_heads = impl_->sets.sets.bytes() /
                        static_cast<std::int64_t>(sizeof(cuda::UnitSets)) /
                        static_cast<std::int64_t>(impl_->primed.size());
  return cuda::to_status(
      cudaMemsetAsync(impl_->sets.sets.data() + sequence * kv_heads, 0,
                      static_cast<std::size_t>(kv_heads) * sizeof(cuda::UnitSets),
                      static_cast<cudaStream_t>(stream.handle)),
      "reset");
}

}  // namespace thriftattn
