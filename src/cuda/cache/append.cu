// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels of an append. Lengths are read and advanced on the device, so that a captured append
// can be replayed.
//
// Short (decode): one kernel, grid (K and V of each kv head, sequences). Every CTA checks all rows
// of its sequence, which are few and then in L2, stores its part, and the last one to arrive
// advances the length. A CTA reads the length before it arrives, so all read the old one.
// Long (prefill): check, store and seal, advance; the checks of all rows come before any store.
#include <cuda_runtime.h>

#include "cuda/cache/append.h"
#include "cuda/cache/fault.cuh"
#include "cuda/cache/store.cuh"

namespace thriftattn::cuda {
namespace {

// Smallest key of this thread's share of the entry's rows: one dim of every step-th row.
template <int kHeadDim>
__device__ std::uint64_t check_rows(const AppendArgs& args, const AppendEntry& entry, int tokens) {
  constexpr int kStep = kAppendThreads / kHeadDim;
  const int d = static_cast<int>(threadIdx.x) % kHeadDim;
  int head = static_cast<int>(threadIdx.x) / kHeadDim;
  std::uint64_t key = kNoFault;
  for (int token = 0; token < tokens; ++token) {
    for (; head < args.view.kv_heads; head += kStep) {
      key = min(key, check_element(args.k, FaultCode::kKey, entry.begin + token, head, d));
      key = min(key, check_element(args.v, FaultCode::kValue, entry.begin + token, head, d));
    }
    head -= args.view.kv_heads;
  }
  return key;
}

// The last CTA of a sequence advances the length or says why not.
__device__ void finish_short(const AppendArgs& args, const AppendEntry& entry, int new_length,
                             std::uint64_t key) {
  __shared__ bool last;
  __shared__ unsigned long long first_key;
  const int sequence = entry.sequence;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(&args.arrived[sequence], 1) == static_cast<int>(gridDim.x) - 1;
    first_key = kNoFault;
  }
  __syncthreads();
  if (!last) return;
  if (key != kNoFault) atomicMin(&first_key, static_cast<unsigned long long>(key));
  __syncthreads();
  if (threadIdx.x != 0) return;
  args.arrived[sequence] = 0;
  if (entry.new_block >= 0) {
    const std::size_t row = static_cast<std::size_t>(sequence) * args.view.max_blocks;
    args.view.block_table[row + entry.new_block] = entry.new_page;
  }
  if (first_key == kNoFault) {
    args.view.lengths[sequence] = new_length;
  } else {
    record_fault(args, sequence, first_key);
  }
}

template <int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads)
    short_append_kernel(const __grid_constant__ AppendArgs args) {
  __shared__ AppendScratch<kHeadDim> scratch;
  const AppendEntry& entry = args.entries[blockIdx.y];
  const int tokens = args.entries[blockIdx.y + 1].begin - entry.begin;
  const int head = static_cast<int>(blockIdx.x) / 2;
  const Part part = blockIdx.x % 2 == 0 ? Part::kKeys : Part::kValues;
  const int length = args.view.lengths[entry.sequence];

  std::uint64_t key = check_rows<kHeadDim>(args, entry, tokens);
  key = min(key, check_room(args.view, entry, length, tokens));
  if (!__syncthreads_or(key != kNoFault)) {
    for (int block = length / kBlockTokens; block * kBlockTokens < length + tokens; ++block) {
      const int page =
          block == entry.new_block ? entry.new_page : args.view.page(entry.sequence, block);
      append_to_block(args, part, head, page, NewRows::of(block, length, tokens, entry.begin),
                      scratch);
    }
  }
  finish_short(args, entry, length + tokens, key);
}

// The entry that a row, or a piece, belongs to: the last one that begins at or before it.
template <std::int32_t AppendEntry::*kBegin>
__device__ int entry_of(const AppendArgs& args, int index) {
  int low = 0;
  int high = args.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (args.entries[middle].*kBegin <= index) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// A warp checks a row of K and V of one kv head; grid (rows / 8, kv_heads).
__global__ void __launch_bounds__(kAppendThreads)
    check_kernel(const __grid_constant__ AppendArgs args) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y);
  const int token = args.entries[0].begin + static_cast<int>(blockIdx.x) * (kAppendThreads / 32) +
                    static_cast<int>(threadIdx.x) / 32;
  if (token >= args.entries[args.count].begin) return;
  std::uint64_t key = kNoFault;
  for (int d = lane; d < args.view.head_dim; d += 32) {
    key = min(key, check_element(args.k, FaultCode::kKey, token, head, d));
    key = min(key, check_element(args.v, FaultCode::kValue, token, head, d));
  }
  const int index = entry_of<&AppendEntry::begin>(args, token);
  const AppendEntry& entry = args.entries[index];
  if (token == entry.begin && head == 0 && lane == 0) {
    const int tokens = args.entries[index + 1].begin - entry.begin;
    key = min(key, check_room(args.view, entry, args.view.lengths[entry.sequence], tokens));
  }
  if (key == kNoFault) return;
  atomicMin(reinterpret_cast<unsigned long long*>(&args.bad_keys[entry.sequence]),
            static_cast<unsigned long long>(key));
}

// A CTA takes K or V of one kv head of one block; grid (pieces, K and V of each kv head).
template <int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads)
    store_kernel(const __grid_constant__ AppendArgs args) {
  __shared__ AppendScratch<kHeadDim> scratch;
  const int index = entry_of<&AppendEntry::first_piece>(args, static_cast<int>(blockIdx.x));
  const AppendEntry& entry = args.entries[index];
  const int tokens = args.entries[index + 1].begin - entry.begin;
  const int length = args.view.lengths[entry.sequence];
  const int block = length / kBlockTokens + static_cast<int>(blockIdx.x) - entry.first_piece;
  if (block * kBlockTokens >= length + tokens) return;
  if (args.bad_keys[entry.sequence] != kNoFault) return;
  append_to_block(args, blockIdx.y % 2 == 0 ? Part::kKeys : Part::kValues,
                  static_cast<int>(blockIdx.y) / 2, args.view.page(entry.sequence, block),
                  NewRows::of(block, length, tokens, entry.begin), scratch);
}

// One thread an entry.
__global__ void advance_kernel(const __grid_constant__ AppendArgs args) {
  const int index = static_cast<int>(threadIdx.x);
  if (index >= args.count) return;
  const AppendEntry& entry = args.entries[index];
  const std::uint64_t key = args.bad_keys[entry.sequence];
  if (key == kNoFault) {
    args.view.lengths[entry.sequence] += args.entries[index + 1].begin - entry.begin;
    return;
  }
  record_fault(args, entry.sequence, key);
  args.bad_keys[entry.sequence] = kNoFault;
}

__global__ void page_upload_kernel(const __grid_constant__ PageUpload upload) {
  const int i = static_cast<int>(threadIdx.x + blockIdx.x * blockDim.x);
  if (i < upload.count) upload.block_table[upload.pages[i].index] = upload.pages[i].page;
}

template <int kHeadDim>
cudaError_t launch_short(const AppendArgs& args, cudaStream_t stream) {
  const dim3 grid(2 * static_cast<unsigned>(args.view.kv_heads), static_cast<unsigned>(args.count));
  short_append_kernel<kHeadDim><<<grid, kAppendThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

template <int kHeadDim>
cudaError_t launch_store(const AppendArgs& args, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args.entries[args.count].first_piece),
                  2 * static_cast<unsigned>(args.view.kv_heads));
  store_kernel<kHeadDim><<<grid, kAppendThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_short_append(const AppendArgs& args, cudaStream_t stream) {
  if (args.view.head_dim == 64) return launch_short<64>(args, stream);
  if (args.view.head_dim == 128) return launch_short<128>(args, stream);
  return launch_short<256>(args, stream);
}

cudaError_t launch_long_append(const AppendArgs& args, cudaStream_t stream) {
  constexpr int kRows = kAppendThreads / 32;
  const int rows = args.entries[args.count].begin - args.entries[0].begin;
  const dim3 grid(static_cast<unsigned>((rows + kRows - 1) / kRows),
                  static_cast<unsigned>(args.view.kv_heads));
  check_kernel<<<grid, kAppendThreads, 0, stream>>>(args);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
  cudaError_t error = cudaSuccess;
  if (args.view.head_dim == 64) {
    error = launch_store<64>(args, stream);
  } else if (args.view.head_dim == 128) {
    error = launch_store<128>(args, stream);
  } else {
    error = launch_store<256>(args, stream);
  }
  if (error != cudaSuccess) return error;
  advance_kernel<<<1, kAppendEntries, 0, stream>>>(args);
  return cudaGetLastError();
}

cudaError_t launch_page_upload(const PageUpload& upload, cudaStream_t stream) {
  constexpr int kThreads = 128;
  const auto blocks = static_cast<unsigned>((upload.count + kThreads - 1) / kThreads);
  page_upload_kernel<<<blocks, kThreads, 0, stream>>>(upload);
  return cudaGetLastError();
}

}  // namespace thriftattn::cuda
