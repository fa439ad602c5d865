// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Appends of up to 16 tokens a sequence, as in decode: one kernel, whatever the number of
// sequences.
//
// The first CTAs take a sequence each: they check all its rows, store those of blocks that this
// append neither begins nor fills, and advance the length. Blocks that it begins (zeros behind the
// rows) or fills (the seal) are rare and heavy: they become jobs, and the CTAs behind, the workers,
// share their parts, K and V of each kv head. Workers wait until every sequence was checked. That
// cannot block: the CTAs they wait for have lower indices, so they started before, and wait for
// nobody. The workers' last one leaves the queue as it was.
#include <cuda_runtime.h>

#include <algorithm>

#include "cuda/cache/append.h"
#include "cuda/cache/fault.cuh"
#include "cuda/cache/store.cuh"

namespace thriftattn::cuda {
namespace {

constexpr int kWorkers = 128;
constexpr int kPollNs = 20;

// What a CTA knows of its sequence.
struct ShortAppend {
  const AppendEntry& entry;
  int length = 0;  // before
  int tokens = 0;

  [[nodiscard]] __device__ int first_block() const { return length / kBlockTokens; }
  [[nodiscard]] __device__ int end_block() const {
    return (length + tokens + kBlockTokens - 1) / kBlockTokens;
  }
  [[nodiscard]] __device__ NewRows rows(int block) const {
    return NewRows::of(block, length, tokens, entry.begin);
  }
  [[nodiscard]] __device__ bool is_job(int block) const {
    const NewRows fresh = rows(block);
    return fresh.first == 0 || fresh.last == kBlockTokens;
  }
  [[nodiscard]] __device__ int page(const CacheView& view, int block) const {
    return block == entry.new_block ? entry.new_page : view.page(entry.sequence, block);
  }
};

// Smallest key of this thread's share of the rows of K or V: one dim of every kStep-th row.
template <int kHeadDim>
__device__ std::uint64_t check_rows(const AppendArgs& args, FaultCode code,
                                    const ShortAppend& call) {
  constexpr int kStep = kAppendThreads / kHeadDim;
  const int d = static_cast<int>(threadIdx.x) % kHeadDim;
  return with_rows(code == FaultCode::kKey ? args.k : args.v, [&](auto rows) {
    int head = static_cast<int>(threadIdx.x) / kHeadDim;
    std::uint64_t key = kNoFault;
    for (int token = call.entry.begin; token < call.entry.begin + call.tokens; ++token) {
#pragma unroll 4
      for (; head < args.view.kv_heads; head += kStep) {
        if (rows.can_be_stored(rows.at(token, head, d))) continue;
        key = min(key, FaultKey::pack(code, token, head, d));
      }
      head -= args.view.kv_heads;
    }
    return key;
  });
}

// Stores the new rows of one block, every kv head.
template <int kHeadDim>
__device__ void store_rows(const AppendArgs& args, Part part, const NewRows& fresh, int page) {
  constexpr int kStep = kAppendThreads / kHeadDim;
  const DeviceTileLayout layout{kHeadDim};
  const int d = static_cast<int>(threadIdx.x) % kHeadDim;
  std::byte* high = part == Part::kKeys ? args.view.high_k : args.view.high_v;
  high += args.view.cell(page, 0) * static_cast<std::size_t>(layout.high_bytes());
  with_rows(part == Part::kKeys ? args.k : args.v, [&](auto rows) {
    for (int slot = fresh.first; slot < fresh.last; ++slot) {
      const int token = fresh.token + slot - fresh.first;
      const int at = part == Part::kKeys ? layout.high_k(slot, d) : layout.high_v(slot, d);
#pragma unroll 4
      for (int head = static_cast<int>(threadIdx.x) / kHeadDim; head < args.view.kv_heads;
           head += kStep) {
        *reinterpret_cast<std::uint16_t*>(high + std::size_t(head) * layout.high_bytes() + at) =
            rows.half_bits(rows.at(token, head, d));
      }
    }
  });
}

// One thread: leaves the jobs of a sequence to the workers and says that it was checked.
__device__ void publish(AppendQueue& queue, const ShortAppend& call, bool refused) {
  for (int block = call.first_block(); block < call.end_block() && !refused; ++block) {
    if (!call.is_job(block)) continue;
    const int i = atomicAdd(&queue.jobs, 1);
    queue.job[i] = {static_cast<int>(blockIdx.x), block, call.length};
  }
  __threadfence();
  atomicAdd(&queue.arrived, 1);
}

template <int kHeadDim>
__device__ void append_sequence(const AppendArgs& args) {
  __shared__ unsigned long long first_key;
  const int index = static_cast<int>(blockIdx.x);
  const AppendEntry& entry = args.entries[index];
  const ShortAppend call{entry, args.view.lengths[entry.sequence],
                         args.entries[index + 1].begin - entry.begin};
  if (threadIdx.x == 0) first_key = kNoFault;
  std::uint64_t key = check_room(args.view, entry, call.length, call.tokens);
  key = min(key, check_rows<kHeadDim>(args, FaultCode::kKey, call));
  key = min(key, check_rows<kHeadDim>(args, FaultCode::kValue, call));
  const bool refused = __syncthreads_or(key != kNoFault) != 0;
  if (threadIdx.x == 0) publish(*args.queue, call, refused);
  if (refused) {
    if (key != kNoFault) atomicMin(&first_key, static_cast<unsigned long long>(key));
    __syncthreads();
  }
  for (int block = call.first_block(); block < call.end_block() && !refused; ++block) {
    if (call.is_job(block)) continue;
    const int page = call.page(args.view, block);
    store_rows<kHeadDim>(args, Part::kKeys, call.rows(block), page);
    store_rows<kHeadDim>(args, Part::kValues, call.rows(block), page);
  }
  if (threadIdx.x != 0) return;
  if (entry.new_block >= 0) {
    const std::size_t row = static_cast<std::size_t>(entry.sequence) * args.view.max_blocks;
    args.view.block_table[row + entry.new_block] = entry.new_page;
  }
  if (refused) {
    record_fault(args, entry.sequence, first_key);
  } else {
    args.view.lengths[entry.sequence] = call.length + call.tokens;
  }
}

template <int kHeadDim>
__device__ void do_jobs(const AppendArgs& args) {
  __shared__ AppendScratch<kHeadDim> scratch;
  __shared__ int jobs;
  AppendQueue& queue = *args.queue;
  const int parts = 2 * args.view.kv_heads;
  const int workers = static_cast<int>(gridDim.x) - args.count;
  if (threadIdx.x == 0) {
    while (*static_cast<volatile std::int32_t*>(&queue.arrived) < args.count) {
      __nanosleep(kPollNs);
    }
    __threadfence();
    jobs = *static_cast<volatile std::int32_t*>(&queue.jobs);
  }
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x) - args.count; i < jobs * parts; i += workers) {
    const AppendJob job = queue.job[i / parts];
    const AppendEntry& entry = args.entries[job.entry];
    const ShortAppend call{entry, job.length, args.entries[job.entry + 1].begin - entry.begin};
    append_to_block(args, i % 2 == 0 ? Part::kKeys : Part::kValues, i % parts / 2,
                    call.page(args.view, job.block), call.rows(job.block), scratch);
  }
  __syncthreads();
  if (threadIdx.x != 0 || atomicAdd(&queue.done, 1) != workers - 1) return;
  queue.arrived = 0;
  queue.jobs = 0;
  queue.done = 0;
}

template <int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads)
    short_append_kernel(const __grid_constant__ AppendArgs args) {
  if (static_cast<int>(blockIdx.x) < args.count) {
    append_sequence<kHeadDim>(args);
  } else {
    do_jobs<kHeadDim>(args);
  }
}

template <int kHeadDim>
cudaError_t launch(const AppendArgs& args, cudaStream_t stream) {
  const int workers = std::min(kWorkers, 2 * args.view.kv_heads * args.count);
  const auto grid = static_cast<unsigned>(args.count + workers);
  short_append_kernel<kHeadDim><<<grid, kAppendThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_short_append(const AppendArgs& args, cudaStream_t stream) {
  if (args.view.head_dim == 64) return launch<64>(args, stream);
  if (args.view.head_dim == 128) return launch<128>(args, stream);
  return launch<256>(args, stream);
}

}  // namespace thriftattn::cuda
