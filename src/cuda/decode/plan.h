// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The memory behind CudaAttendPlan and CudaAttendState.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/cache/append.h"
#include "cuda/cache/cache_view.h"
#include "cuda/common/device_buffer.h"
#include "cuda/decode/launch.h"
#include "cuda/decode/types.h"
#include "thriftattn/cuda.h"

namespace thriftattn::cuda {

// Sets of every sequence id and kv head of a cache.
struct SetsBuffer {
  DeviceBuffer<UnitSets> sets;        // [max_sequences, kv_heads]
  DeviceBuffer<std::uint16_t> lists;  // [max_sequences, kv_heads, max_blocks]
};

Status allocate_sets(const CudaKvCache& cache, SetsBuffer& buffer);

}  // namespace thriftattn::cuda

namespace thriftattn {

struct CudaAttendState::Impl {
  int device = 0;
  int q_heads = 0;
  const void* cache = nullptr;  // whose sequences these are
  cuda::SetsBuffer sets;
  std::vector<bool> primed;  // [max_sequences]: the device has sets of this sequence
};

struct CudaAttendPlan::Impl {
  int device = 0;
  int q_heads = 0;
  int max_sequences = 0;
  int max_q_len = 0;
  int head_dim = 0;
  HighTier high_tier = HighTier::kRows16;
  int kv_heads = 0;
  int max_blocks = 0;
  int max_panels = 0;
  const cuda::DecodeKernels* kernels = nullptr;
  cuda::DecodeShape shape;

  cuda::SumSlots slots;
  cuda::SetsBuffer scratch;  // sets of calls without a state
  cuda::DeviceBuffer<float> masses;
  cuda::DeviceBuffer<std::uint8_t> fates;
  cuda::DeviceBuffer<float> row_lse;
  cuda::DeviceBuffer<float> floor;  // lse of the score pass
  // Of a call whose tokens come behind: what it leaves without them.
  cuda::DeviceBuffer<float> old_lse;
  cuda::DeviceBuffer<float> old_used;
  cuda::DeviceBuffer<float> old_out;
  cuda::DeviceBuffer<float> ranks;
  cuda::DeviceBuffer<cuda::PartialHeader> headers;
  cuda::DeviceBuffer<float> partials;
  cuda::DeviceBuffer<std::uint32_t> arrivals;
  cuda::DeviceBuffer<std::uint32_t> ready;            // PanelReady words
  cuda::DeviceBuffer<unsigned long long> votes;       // AppendVote words
  cuda::DeviceBuffer<cuda::AttendedLength> attended;  // [max_sequences of the cache]

  cuda::TailBy tail_by = cuda::TailBy::kNone;  // tests set it; kNone: the call decides

  // Of the last call, for report().
  cuda::CallShape last;
  cuda::CacheView last_cache;
  int cluster_ctas = 0;            // of a panel; 0: not DecodeKernels::dense_cluster
  int dense_warps = 0;             // where it was all 16 bit
  bool append_was_behind = false;  // then lengths are those of `attended`
  bool called = false;
};

}  // namespace thriftattn
