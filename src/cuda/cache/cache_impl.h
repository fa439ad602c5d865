// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a CudaKvCache is made of. The host keeps the pages and a mirror of the lengths; the lengths
// that count are the device's, which appends advance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cuda/cache/append.h"
#include "cuda/cache/cache_view.h"
#include "cuda/cache/page_list.h"
#include "cuda/common/device_buffer.h"
#include "cuda/common/pinned_buffer.h"
#include "thriftattn/cuda.h"

namespace thriftattn {
namespace cuda {

struct CacheSequence {
  bool live = false;
  std::int64_t length = 0;          // tokens; the device may hold fewer after a refused append
  std::uint64_t last_call = 0;      // number of the call that named it last
  std::size_t kept_pages = 0;       // of `table`, where that call fails
  std::vector<std::int32_t> table;  // physical page of each logical block, maybe of some to come
  NewPage new_page;                 // the last that a short append took
};

// An append. `attend`, if given, is called once the checks are passed and the pages are taken: it
// enqueues an attend that appends the tokens, one a sequence, itself.
struct AppendRequest {
  std::span<const SequenceId> sequences;
  std::span<const std::int64_t> offsets;
  ConstTensorView k;  // [tokens, kv_heads, head_dim]
  ConstTensorView v;
  std::function<Status()> attend = {};
};

// What synchronize() reads back in one copy: the faults, then the lengths.
struct CacheStateLayout {
  int sequences = 0;
  [[nodiscard]] std::int64_t lengths() const {
    return static_cast<std::int64_t>(sizeof(AppendFault)) * sequences;
  }
  [[nodiscard]] std::int64_t bytes() const {
    return lengths() + static_cast<std::int64_t>(sizeof(std::int32_t)) * sequences;
  }
};

}  // namespace cuda

struct CudaKvCache::Impl {
  CudaKvCacheConfig config;
  std::int64_t max_blocks = 0;  // of a sequence

  cuda::PageList pages;
  std::vector<cuda::CacheSequence> sequences;  // by id
  std::vector<SequenceId> freed;               // ids to use again
  std::uint64_t calls = 0;

  cuda::DeviceBuffer<std::byte> low_k, low_v;
  cuda::DeviceBuffer<std::byte> high_k, high_v;          // rows; empty where they are on the host
  cuda::DeviceBuffer<std::byte> residual_k, residual_v;  // nested; empty where on the host
  cuda::PinnedBuffer<std::byte> pinned_k, pinned_v;      // what of these is on the host
  cuda::DeviceBuffer<half_t> block_mean;
  cuda::DeviceBuffer<float> k_min, k_max;  // empty where not asked for
  cuda::DeviceBuffer<std::int32_t> block_table;
  cuda::DeviceBuffer<std::byte> state;       // CacheStateLayout
  cuda::PinnedBuffer<std::byte> state_copy;  // of synchronize()
  cuda::DeviceBuffer<std::uint64_t> bad_keys;
  cuda::DeviceBuffer<cuda::AppendQueue> queue;

  [[nodiscard]] cuda::CacheStateLayout state_layout() const { return {config.max_sequences}; }
  [[nodiscard]] cuda::CacheView view() const;

  // nullptr where the id is unknown.
  [[nodiscard]] const cuda::CacheSequence* find(SequenceId id) const;
  [[nodiscard]] cuda::CacheSequence* find(SequenceId id);
};

namespace cuda {
Status append(CudaKvCache::Impl& impl, const AppendRequest& request, CudaStream stream);
}

}  // namespace thriftattn
