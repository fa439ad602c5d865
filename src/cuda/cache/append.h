// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the host hands to the kernels of an append. Everything travels as kernel parameters, so that
// nothing waits and all of it can be captured into a graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/cache/cache_view.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn::cuda {

inline constexpr int kAppendEntries = 256;     // sequences of one launch
inline constexpr int kShortAppendTokens = 16;  // of a sequence: appended by one kernel
inline constexpr int kPageUploads = 1000;

// One sequence of an append. Its rows end where those of the next entry begin.
struct AppendEntry {
  std::int32_t sequence = 0;
  std::int32_t begin = 0;        // first row of the call
  NewPage new_page;              // short appends
  std::int32_t first_piece = 0;  // long appends: sum of append_pieces before it
};

// Blocks that `tokens` more tokens touch at most, wherever the sequence ends.
constexpr std::int64_t append_pieces(std::int64_t tokens) {
  return (tokens + 2 * kBlockTokens - 2) / kBlockTokens;
}

// A block that a short append begins or fills.
struct AppendJob {
  std::int32_t entry = 0;
  std::int32_t block = 0;
  std::int32_t length = 0;  // of the sequence before the append
};

struct AppendQueue {
  std::int32_t arrived = 0;  // entries that were checked
  std::int32_t jobs = 0;
  std::int32_t done = 0;  // CTAs that have seen all jobs
  AppendJob job[2 * kAppendEntries];
};

// Rows that are appended, and where they go.
struct AppendInput {
  CacheView view;
  ConstTensorView k;  // [tokens, kv_heads, head_dim]
  ConstTensorView v;
  Numerics numerics;
};

struct AppendArgs : AppendInput {
  std::uint64_t* bad_keys = nullptr;  // [sequences], long appends: smallest FaultKey
  AppendQueue* queue = nullptr;       // short appends: zeros between launches
  int count = 0;
  AppendEntry entries[kAppendEntries + 1];  // one more, that says where the last one ends
};

// Whether a tensor's rows can be read by two values of 16 bits (cache/row_pair.cuh).
inline bool can_load_pairs(const ConstTensorView& view) {
  const auto is_step = [](std::int64_t stride) {
    return stride >= 0 && stride <= INT32_MAX && stride % 2 == 0;
  };
  return view.dtype != DType::kF32 && reinterpret_cast<std::uintptr_t>(view.data) % 4 == 0 &&
         is_step(view.token_stride) && is_step(view.head_stride) && view.tokens <= INT32_MAX &&
         view.heads <= INT32_MAX &&
         view.token_stride * view.tokens + view.head_stride * view.heads <= INT32_MAX;
}

// A sequence of at most kShortAppendTokens rows an entry: one kernel. Else three.
cudaError_t launch_short_append(const AppendArgs& args, cudaStream_t stream);
cudaError_t launch_long_append(const AppendArgs& args, cudaStream_t stream);

// Entries of block tables to be written.
struct PageUpload {
  std::int32_t* block_table = nullptr;
  int count = 0;
  struct {
    std::int32_t index;
    std::int32_t page;
  } pages[kPageUploads];
};
cudaError_t launch_page_upload(const PageUpload& upload, cudaStream_t stream);

}  // namespace thriftattn::cuda
