// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Appends of any length, as in prefill: check, store and seal, advance. The checks of all rows come
// before any store. Lengths are read and advanced on the device, so that a captured append can be
// replayed.
#include <cuda_runtime.h>

#include "cuda/cache/append.h"
#include "cuda/cache/fault.cuh"
#include "cuda/cache/store.cuh"

namespace thriftattn::cuda {
namespace {

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
  for (const FaultCode code : {FaultCode::kKey, FaultCode::kValue}) {
    with_rows(code == FaultCode::kKey ? args.k : args.v, [&](auto rows) {
#pragma unroll 2
      for (int d = lane; d < args.view.head_dim; d += 32) {
        if (rows.can_be_stored(rows.at(token, head, d))) continue;
        key = min(key, FaultKey::pack(code, token, head, d));
      }
    });
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

// A CTA takes K or V of one kv head of one block, nested also of the one that stays open; grid
// (pieces, K and V of each kv head).
template <int kHeadDim>
__global__ void __launch_bounds__(kAppendThreads, 3)
    store_kernel(const __grid_constant__ AppendArgs args) {
  __shared__ AppendScratch<kHeadDim> scratch;
  __shared__ AppendPiece piece;
  const int index = entry_of<&AppendEntry::first_piece>(args, static_cast<int>(blockIdx.x));
  const AppendEntry& entry = args.entries[index];
  const int tokens = args.entries[index + 1].begin - entry.begin;
  const int length = args.view.lengths[entry.sequence];
  const int block = length / kBlockTokens + static_cast<int>(blockIdx.x) - entry.first_piece;
  if (block * kBlockTokens >= length + tokens) return;
  if (args.bad_keys[entry.sequence] != kNoFault) return;
  if (threadIdx.x == 0) {
    const BlockPart part = BlockPart::of(static_cast<int>(blockIdx.y), {});
    piece = AppendPiece::of(args, {index, block, length}, part);
  }
  __syncthreads();
  append_piece(args, piece, scratch);
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
cudaError_t launch_store(const AppendArgs& args, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args.entries[args.count].first_piece),
                  2 * static_cast<unsigned>(args.view.kv_heads));
  store_kernel<kHeadDim><<<grid, kAppendThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace

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
