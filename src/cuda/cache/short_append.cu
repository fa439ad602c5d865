// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Appends of up to 16 tokens a sequence, as in decode: one kernel, whatever the number of
// sequences.
//
// The first CTAs take a sequence each: they check all its rows, store those of blocks that this
// append neither begins nor fills, and advance the length. Blocks that it begins (zeros behind the
// rows) or fills (the seal) are rare and heavy: they become jobs, and the CTAs behind, the workers,
// share their parts, K and V of each kv head (nested, a block that is begun behind one that is
// filled belongs to the job of the latter). Workers wait until every sequence said what its jobs
// are. That cannot block: the CTAs they wait for have lower indices, so they started before, and
// wait for no CTA. The workers' last one leaves the queue as it was.
//
// A step's own tokens are appended behind its attend (decode/fresh_token.cuh).
#include <cuda_runtime.h>

#include <algorithm>

#include "cuda/cache/append.h"
#include "cuda/cache/fault.cuh"
#include "cuda/cache/store.cuh"

namespace thriftattn::cuda {
namespace {

constexpr int kWorkers = 128;
constexpr int kMaxShares = 4;
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
  [[nodiscard]] __device__ bool has_jobs() const {
    return is_job(first_block()) || is_job(end_block() - 1);
  }
};

// Half of the CTA takes K and the other half V, so that both are on their way at once.
constexpr int kPartThreads = kAppendThreads / 2;

__device__ Part part_of_thread() {
  return static_cast<int>(threadIdx.x) < kPartThreads ? Part::kKeys : Part::kValues;
}

// Calls use(head, dim) for this thread's share of the rows of a token.
template <int kHeadDim, class Use>
__device__ void for_each_value(int kv_heads, Use use) {
  constexpr int kRows = kPartThreads > kHeadDim ? kPartThreads / kHeadDim : 1;
  const int thread = static_cast<int>(threadIdx.x) % kPartThreads;
#pragma unroll(kHeadDim > kPartThreads ? 2 : 4)
  for (int head = thread / kHeadDim; head < kv_heads; head += kRows) {
#pragma unroll
    for (int d = thread % kHeadDim; d < kHeadDim; d += kPartThreads) use(head, d);
  }
}

// Smallest key of this thread's share of the rows.
template <int kHeadDim>
__device__ std::uint64_t check_rows(const AppendArgs& args, const AppendEntry& entry, int tokens) {
  const bool keys = part_of_thread() == Part::kKeys;
  return with_rows(keys ? args.k : args.v, [&](auto rows) {
    std::uint64_t key = kNoFault;
    for (int token = entry.begin; token < entry.begin + tokens; ++token) {
      for_each_value<kHeadDim>(args.view.kv_heads, [&](int head, int d) {
        const FaultCode code = keys ? FaultCode::kKey : FaultCode::kValue;
        const bool good = rows.can_be_stored(rows.at(token, head, d));
        key = good ? key : min(key, FaultKey::pack(code, token, head, d));
      });
    }
    return key;
  });
}

// Stores the new rows of one block, every kv head. cell: of its rows, of the first kv head.
template <int kHeadDim>
__device__ void store_rows(const AppendArgs& args, const NewRows& fresh, std::size_t cell) {
  const DeviceTileLayout layout{kHeadDim};
  const bool keys = part_of_thread() == Part::kKeys;
  std::byte* high = (keys ? args.view.high_k : args.view.high_v) +
                    cell * static_cast<std::size_t>(layout.high_bytes());
  with_rows(keys ? args.k : args.v, [&](auto rows) {
    for (int slot = fresh.first; slot < fresh.last; ++slot) {
      for_each_value<kHeadDim>(args.view.kv_heads, [&](int head, int d) {
        const auto x = rows.at(fresh.token + slot - fresh.first, head, d);
        const int at = keys ? layout.high_k(slot, d) : layout.high_v(slot, d);
        *reinterpret_cast<std::uint16_t*>(
            high + static_cast<std::size_t>(head) * layout.high_bytes() + at) = rows.half_bits(x);
      });
    }
  });
}

// One thread: leaves the jobs of a sequence to the workers, then says that there are no more.
__device__ void publish_jobs(const AppendArgs& args, const ShortAppend& call, bool refused) {
  AppendQueue& queue = *args.queue;
  const int second = block_after_first(args.view, call.length, call.tokens);  // with the first
  for (int block = call.first_block(); block < call.end_block() && !refused; ++block) {
    if (!call.is_job(block) || block == second) continue;
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
  std::uint64_t key = check_rows<kHeadDim>(args, entry, call.tokens);
  const bool has_jobs = call.has_jobs();
  if (threadIdx.x == 0) {
    first_key = kNoFault;
    if (!has_jobs) atomicAdd(&args.queue->arrived, 1);  // nothing that a check could change
  }
  key = min(key, check_room(args.view, entry, call.length, call.tokens));
  const bool refused = __syncthreads_or(key != kNoFault) != 0;
  if (threadIdx.x == 0 && has_jobs) publish_jobs(args, call, refused);
  if (refused) {
    if (key != kNoFault) atomicMin(&first_key, static_cast<unsigned long long>(key));
    __syncthreads();
  }
  for (int block = call.first_block(); block < call.end_block() && !refused; ++block) {
    if (call.is_job(block)) continue;
    const int page = entry.new_page.page_of(args.view, entry.sequence, block);
    const std::size_t cell = args.view.rows_cell(entry.sequence, page, 0);
    store_rows<kHeadDim>(args, call.rows(block), cell);
  }
  if (threadIdx.x != 0) return;
  entry.new_page.enter(args.view, entry.sequence);
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
  __shared__ int shares;  // of a part
  __shared__ AppendPiece piece;
  AppendQueue& queue = *args.queue;
  const int parts = 2 * args.view.kv_heads;
  const int workers = static_cast<int>(gridDim.x) - args.count;
  if (threadIdx.x == 0) {
    while (*static_cast<volatile std::int32_t*>(&queue.arrived) < args.count) {
      __nanosleep(kPollNs);
    }
    __threadfence();
    jobs = *static_cast<volatile std::int32_t*>(&queue.jobs);
    // Few jobs: several workers share the groups of a part, but not where its rows are replaced.
    const bool one_token = args.entries[args.count].begin - args.entries[0].begin == args.count;
    const int most = args.view.nested() && !one_token ? 1 : kMaxShares;
    shares = max(1, min(most, workers / max(1, jobs * parts)));
  }
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x) - args.count; i < jobs * parts * shares; i += workers) {
    if (threadIdx.x == 0) {
      const BlockPart part = BlockPart::of(i / shares % parts, {i % shares, shares});
      piece = AppendPiece::of(args, queue.job[i / shares / parts], part);
    }
    __syncthreads();
    append_piece(args, piece, scratch);
    __syncthreads();
  }
  if (threadIdx.x != 0 || atomicAdd(&queue.done, 1) != workers - 1) return;
  queue.arrived = 0;
  queue.jobs = 0;
  queue.done = 0;
}

template <int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads, 3)
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
  const int grid = args.count + workers;
  short_append_kernel<kHeadDim><<<static_cast<unsigned>(grid), kAppendThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_short_append(const AppendArgs& args, cudaStream_t stream) {
  if (args.view.head_dim == 64) return launch<64>(args, stream);
  if (args.view.head_dim == 128) return launch<128>(args, stream);
  return launch<256>(args, stream);
}

}  // namespace thriftattn::cuda
