// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Creation, sequences and what can be asked. Appends are in append.cc.
#include <algorithm>
#include <exception>
#include <limits>
#include <string>
#include <utility>

#include "cuda/cache/cache_impl.h"
#include "cuda/cache/tier_sizes.h"
#include "kv/append_checks.h"
#include "kv/arena.h"
#include "kv/cache_state.h"
#include "kv/shape.h"

namespace thriftattn {
namespace {

using cuda::AppendFault;
using cuda::CacheSequence;
using cuda::DeviceScope;
using cuda::FaultCode;
using cuda::to_status;

constexpr int kMaxKvHeads = 32767;  // a grid's y is twice that

Status check_range(const char* name, std::int64_t value, std::int64_t largest) {
  if (value >= 1 && value <= largest) return {};
  return invalid_argument(std::string(name) + " " + std::to_string(value) + ": must be from 1 to " +
                          std::to_string(largest));
}

Status check_device(int device) {
  Result<std::vector<CudaDevice>> devices = list_cuda_devices();
  if (!devices.ok()) return devices.status();
  const auto count = static_cast<int>(devices.value().size());
  if (device < 0 || device >= count) {
    return invalid_argument("device " + std::to_string(device) + ": this machine has " +
                            std::to_string(count));
  }
  const CudaDevice& found = devices.value()[static_cast<std::size_t>(device)];
  if (found.supported) return {};
  return unsupported(found.name + ": no kernels for compute capability " +
                     std::to_string(found.compute_major) + "." +
                     std::to_string(found.compute_minor) + "; supported 9.0 and 12.x");
}

Status check_config(const CudaKvCacheConfig& config) {
  constexpr std::int64_t kMaxInt = std::numeric_limits<std::int32_t>::max();
  Status status = kv::check_shape(config.kv_heads, config.head_dim, config.pages, kMaxInt, "pages");
  if (!status.ok()) return status;
  if (Status s = kv::check_high_tier(config.high_tier); !s.ok()) return s;
  if (config.head_dim != 64 && config.head_dim != 128 && config.head_dim != 256) {
    return unsupported("head_dim " + std::to_string(config.head_dim) +
                       ": no CUDA kernels; supported 64, 128, 256");
  }
  if (Status s = check_range("kv_heads", config.kv_heads, kMaxKvHeads); !s.ok()) return s;
  // Lengths, and indices of block tables, fit 32 bits with room for one append.
  if (Status s = check_range("max_tokens", config.max_tokens, kMaxInt / 2); !s.ok()) return s;
  const std::int64_t limit = kMaxInt / kv::blocks_of(config.max_tokens);
  if (Status s = check_range("max_sequences", config.max_sequences, limit); !s.ok()) return s;
  return check_device(config.device);
}

Status allocate_tiers(CudaKvCache::Impl& impl) {
  const CudaKvCacheConfig& config = impl.config;
  const cuda::TierSizes sizes = cuda::TierSizes::of(config);
  if (!sizes.fit) return {StatusCode::kOutOfMemory, "pages: their size in bytes is beyond 64 bits"};
  const bool nested = config.high_tier == HighTier::kNested;
  const bool pinned = config.residence == Residence::kPinnedHost;
  Status s = impl.low_k.allocate(sizes.low_k, "low tier of K");
  if (s.ok()) s = impl.low_v.allocate(sizes.low_v, "low tier of V");
  if (nested || !pinned) {
    if (s.ok()) s = impl.high_k.allocate(sizes.rows, "rows of K");
    if (s.ok()) s = impl.high_v.allocate(sizes.rows, "rows of V");
  }
  if (nested && !pinned) {
    if (s.ok()) s = impl.residual_k.allocate(sizes.residual, "residuals of K");
    if (s.ok()) s = impl.residual_v.allocate(sizes.residual, "residuals of V");
  }
  if (pinned) {
    const std::int64_t bytes = nested ? sizes.residual : sizes.rows;
    if (s.ok()) s = impl.pinned_k.allocate(bytes, "high tier of K");
    if (s.ok()) s = impl.pinned_v.allocate(bytes, "high tier of V");
  }
  if (s.ok()) s = impl.block_mean.allocate(sizes.block_mean, "block means");
  if (!config.channel_bounds) return s;
  if (s.ok()) s = impl.k_min.allocate(sizes.block_mean, "channel bounds");
  if (s.ok()) s = impl.k_max.allocate(sizes.block_mean, "channel bounds");
  return s;
}

Status allocate_tables(CudaKvCache::Impl& impl) {
  const std::int64_t sequences = impl.config.max_sequences;
  Status s = impl.block_table.allocate(sequences * impl.max_blocks, "block tables");
  if (s.ok()) s = impl.state.allocate(impl.state_layout().bytes(), "lengths");
  if (s.ok()) s = impl.state_copy.allocate(impl.state_layout().bytes(), "lengths");
  if (s.ok()) s = impl.bad_keys.allocate(sequences, "append state");
  if (s.ok()) s = impl.queue.allocate(1, "append state");
  if (!s.ok()) return s;
  // No page, and no fault: all ones.
  const auto table_bytes = static_cast<std::size_t>(impl.block_table.bytes());
  s = to_status(cudaMemset(impl.block_table.data(), 0xff, table_bytes), "block tables");
  if (!s.ok()) return s;
  const auto key_bytes = static_cast<std::size_t>(impl.bad_keys.bytes());
  s = to_status(cudaMemset(impl.bad_keys.data(), 0xff, key_bytes), "append state");
  // Streams that do not wait for the default one may come next.
  return s.ok() ? to_status(cudaDeviceSynchronize(), "creating the cache") : s;
}

Status refused(const AppendFault& fault, SequenceId sequence) {
  const std::string who = "sequence " + std::to_string(sequence);
  if (fault.code == FaultCode::kRoom) {
    return {StatusCode::kOutOfMemory,
            who + ": a replayed append found no page; call reserve before a replay"};
  }
  const Status value = kv::bad_value(fault.code == FaultCode::kKey ? "k" : "v", fault.token,
                                     fault.kv_head, fault.dim, fault.value);
  return {value.code(), value.message() + "; nothing of that append went to " + who};
}

bool comes_first(const AppendFault& a, const AppendFault& b) {
  if (a.code != b.code) return a.code < b.code;
  if (a.token != b.token) return a.token < b.token;
  if (a.kv_head != b.kv_head) return a.kv_head < b.kv_head;
  return a.dim < b.dim;
}

}  // namespace

cuda::CacheView CudaKvCache::Impl::view() const {
  cuda::CacheView view;
  view.kv_heads = config.kv_heads;
  view.head_dim = config.head_dim;
  view.max_blocks = static_cast<int>(max_blocks);
  view.low_k = low_k.data();
  view.low_v = low_v.data();
  const bool nested = config.high_tier == HighTier::kNested;
  const bool pinned = config.residence == Residence::kPinnedHost;
  view.high_k = pinned && !nested ? pinned_k.data() : high_k.data();
  view.high_v = pinned && !nested ? pinned_v.data() : high_v.data();
  if (nested) {
    view.residual_k = pinned ? pinned_k.data() : residual_k.data();
    view.residual_v = pinned ? pinned_v.data() : residual_v.data();
  }
  view.block_mean = block_mean.data();
  view.k_min = k_min.data();
  view.k_max = k_max.data();
  view.block_table = block_table.data();
  view.lengths = reinterpret_cast<std::int32_t*>(state.data() + state_layout().lengths());
  view.faults = reinterpret_cast<AppendFault*>(state.data());
  return view;
}

const CacheSequence* CudaKvCache::Impl::find(SequenceId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= sequences.size()) return nullptr;
  const CacheSequence& sequence = sequences[static_cast<std::size_t>(id)];
  return sequence.live ? &sequence : nullptr;
}

CacheSequence* CudaKvCache::Impl::find(SequenceId id) {
  return const_cast<CacheSequence*>(std::as_const(*this).find(id));
}

Result<CudaKvCache> CudaKvCache::create(const CudaKvCacheConfig& config) {
  if (Status status = check_config(config); !status.ok()) return status;
  try {
    auto impl = std::make_unique<Impl>();
    impl->config = config;
    impl->max_blocks = kv::blocks_of(config.max_tokens);
    impl->pages.resize(config.pages);
    impl->sequences.reserve(static_cast<std::size_t>(config.max_sequences));
    impl->freed.reserve(static_cast<std::size_t>(config.max_sequences));
    const DeviceScope scope(config.device);
    if (Status status = allocate_tiers(*impl); !status.ok()) return status;
    if (Status status = allocate_tables(*impl); !status.ok()) return status;
    return CudaKvCache(std::move(impl));
  } catch (const std::exception&) {
    return Status{StatusCode::kOutOfMemory, "no host memory for the cache"};
  }
}

CudaKvCache::CudaKvCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CudaKvCache::CudaKvCache(CudaKvCache&&) noexcept = default;
CudaKvCache& CudaKvCache::operator=(CudaKvCache&&) noexcept = default;
CudaKvCache::~CudaKvCache() = default;

const CudaKvCacheConfig& CudaKvCache::config() const { return impl_->config; }

Result<SequenceId> CudaKvCache::add_sequence() {
  Impl& impl = *impl_;
  if (!impl.freed.empty()) {
    const SequenceId id = impl.freed.back();
    impl.freed.pop_back();
    impl.sequences[static_cast<std::size_t>(id)].live = true;
    return id;
  }
  if (impl.sequences.size() >= static_cast<std::size_t>(impl.config.max_sequences)) {
    return Status{StatusCode::kOutOfMemory, "no sequence id is free; max_sequences is " +
                                                std::to_string(impl.config.max_sequences)};
  }
  impl.sequences.emplace_back().live = true;  // room is reserved
  return static_cast<SequenceId>(impl.sequences.size() - 1);
}

Status CudaKvCache::free_sequence(SequenceId sequence, CudaStream stream) {
  Impl& impl = *impl_;
  CacheSequence* freed = impl.find(sequence);
  if (freed == nullptr) return kv::unknown_sequence(sequence);
  const DeviceScope scope(impl.config.device);
  const cuda::CacheView view = impl.view();
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  // A later replay of an append to this id then finds no page of somebody else.
  std::int32_t* row = view.block_table + sequence * impl.max_blocks;
  const std::size_t row_bytes = freed->table.size() * sizeof(std::int32_t);
  Status status;
  if (row_bytes > 0) {
    status = to_status(cudaMemsetAsync(row, 0xff, row_bytes, handle), "freeing a sequence");
  }
  if (!status.ok()) return status;
  status = to_status(cudaMemsetAsync(view.lengths + sequence, 0, sizeof(std::int32_t), handle),
                     "freeing a sequence");
  if (!status.ok()) return status;
  // Last page first: the next sequence then gets them in the order in which this one did.
  for (auto page = freed->table.rbegin(); page != freed->table.rend(); ++page) {
    impl.pages.release(*page);
  }
  *freed = {};
  impl.freed.push_back(sequence);
  return {};
}

Status CudaKvCache::synchronize(CudaStream stream) {
  Impl& impl = *impl_;
  const DeviceScope scope(impl.config.device);
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  const auto bytes = static_cast<std::size_t>(impl.state_layout().bytes());
  std::byte* copy = impl.state_copy.data();
  Status status = to_status(
      cudaMemcpyAsync(copy, impl.state.data(), bytes, cudaMemcpyDeviceToHost, handle), "lengths");
  if (!status.ok()) return status;
  status = to_status(cudaStreamSynchronize(handle), "waiting for the stream");
  if (!status.ok()) return status;

  const auto* faults = reinterpret_cast<const AppendFault*>(copy);
  const auto* lengths = reinterpret_cast<const std::int32_t*>(copy + impl.state_layout().lengths());
  int first = -1;
  for (int id = 0; id < static_cast<int>(impl.sequences.size()); ++id) {
    CacheSequence& sequence = impl.sequences[static_cast<std::size_t>(id)];
    if (sequence.live) sequence.length = lengths[id];
    if (faults[id].code == FaultCode::kNone) continue;
    if (first < 0 || comes_first(faults[id], faults[first])) first = id;
  }
  if (first < 0) return {};
  const auto fault_bytes = static_cast<std::size_t>(impl.state_layout().lengths());
  status = to_status(cudaMemsetAsync(impl.state.data(), 0, fault_bytes, handle), "faults");
  return status.ok() ? refused(faults[first], first) : status;
}

Result<std::int64_t> CudaKvCache::length(SequenceId sequence) const {
  const CacheSequence* found = impl_->find(sequence);
  if (found == nullptr) return kv::unknown_sequence(sequence);
  return found->length;
}

std::int64_t CudaKvCache::free_pages() const { return impl_->pages.free_pages(); }

std::span<const std::int32_t> CudaKvCache::block_table(SequenceId sequence) const {
  const CacheSequence* found = impl_->find(sequence);
  if (found == nullptr) return {};
  return found->table;
}

std::int64_t CudaKvCache::device_bytes() const {
  const Impl& impl = *impl_;
  return impl.low_k.bytes() + impl.low_v.bytes() + impl.high_k.bytes() + impl.high_v.bytes() +
         impl.residual_k.bytes() + impl.residual_v.bytes() + impl.block_mean.bytes() +
         impl.k_min.bytes() + impl.k_max.bytes() + impl.block_table.bytes() + impl.state.bytes() +
         impl.bad_keys.bytes() + impl.queue.bytes();
}

}  // namespace thriftattn
