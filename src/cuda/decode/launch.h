// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels as functions of the host: one row of a table for each head_dim and high tier.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// Clusters of 1 to 16 CTAs. What every device that has clusters can hold is 8.
inline constexpr int kClusterSizes = 5;
inline constexpr int kMaxClusterCtas = 1 << (kClusterSizes - 1);
inline constexpr int kPortableClusterCtas = 8;
inline constexpr int kPairedWarps = 8;  // of CTAs of which an SM may have two

// Grid and warps of the decode kernels on one device.
struct DecodeShape {
  int ctas = 0;
  int score_warps = 0;
  int attend_warps = 0;
  int dense_warps = 0;
  int paired_warps = 0;              // in clusters: of CTAs of which an SM has two; 0: it has not
  int clusters[kClusterSizes] = {};  // of 2^i CTAs that run side by side
  int shared_limit = 0;              // bytes of dynamic shared memory a CTA
};

struct DecodeKernels {
  int head_dim;
  HighTier high_tier;
  // Makes the kernels ready on the current device: call once before the first launch.
  cudaError_t (*prepare)(DecodeShape& shape);
  cudaError_t (*score)(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream);
  cudaError_t (*attend)(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream);
  // attend where every sequence is computed in the high tier: args.crossover is beyond all lengths.
  cudaError_t (*dense)(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream);
  // dense by a cluster of args.parts CTAs of shape.dense_warps a panel, see cluster_size().
  // nullptr: there is none.
  cudaError_t (*dense_cluster)(const DecodeArgs& args, const DecodeShape& shape,
                               cudaStream_t stream);
};

extern const DecodeKernels kDecode64;
extern const DecodeKernels kDecode128;
extern const DecodeKernels kDecode256;
extern const DecodeKernels kDecodeNested64;
extern const DecodeKernels kDecodeNested128;
extern const DecodeKernels kDecodeNested256;

// nullptr where there is no kernel for it.
inline const DecodeKernels* decode_kernels(int head_dim, HighTier high_tier) {
  for (const DecodeKernels* kernels : {&kDecode64, &kDecode128, &kDecode256, &kDecodeNested64,
                                       &kDecodeNested128, &kDecodeNested256}) {
    if (kernels->head_dim == head_dim && kernels->high_tier == high_tier) return kernels;
  }
  return nullptr;
}

// What select has to do, and what a CTA may have for it.
struct SelectWork {
  int units = 0;
  int blocks = 0;      // of the longest unit; it may have grown since
  int max_blocks = 0;  // that a unit may have
  int head_dim = 0;
  bool appends = false;
  int shared_limit = 0;  // bytes of dynamic shared memory
};
// How a unit is worked at. Few units: as many CTAs and threads as help. Many: as many CTAs side by
// side as there are units, but as many a unit as hold its keys.
struct SelectGrid {
  int cluster = 1;  // CTAs of a unit that choose
  int threads = 256;
  int shared_bytes = 0;
};
SelectGrid select_grid(const SelectWork& work);

// shared_limit: the device's, as in SelectWork.
cudaError_t prepare_select(int shared_limit);
cudaError_t launch_select(const SelectArgs& args, int blocks, int shared_limit,
                          cudaStream_t stream);

// Tokens of a step that no select follows.
cudaError_t prepare_append_fresh();
cudaError_t launch_append_fresh(const FreshArgs& args, cudaStream_t stream);

// Ranks of policies that ask block summaries instead of masses: [units, max_blocks].
struct RankArgs {
  CacheView cache;
  const void* q = nullptr;
  DType q_type = DType::kF16;
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  float* ranks = nullptr;
  bool quest = false;  // else block means
  CallShape shape;
};
cudaError_t launch_rank(const RankArgs& args, cudaStream_t stream);

}  // namespace thriftattn::cuda
