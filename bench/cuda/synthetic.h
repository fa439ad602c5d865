// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Keys, values and queries made on the device, whose block masses have the profile of a recorded
// model's head (profile.h): a sink, an own block, and logs of the other blocks' masses that are
// normal, of which a share is lighter. Which blocks are heavy changes from step to step.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/profile.h"

namespace thriftattn::bench {

inline constexpr int kSteps = 8;  // queries that are used in turn

// Of data, made up or a real model's.
struct DataShape {
  int q_heads = 32;
  int kv_heads = 8;
  int head_dim = 128;  // a power of two
  std::int64_t kv_len = 0;
  float softmax_scale = 0;  // 0: 1 / sqrt(head_dim), as data that is made up takes it
};

// k, v: half [tokens, kv_heads, head_dim], tokens [first, first + tokens) of a sequence.
void make_rows(const DataShape& shape, const SyntheticProfile& profile, std::uint64_t sequence,
               std::int64_t first, std::int64_t tokens, void* k, void* v, cudaStream_t stream);
// q: half [batch, q_heads, head_dim], of one of kSteps steps.
void make_queries(const DataShape& shape, const SyntheticProfile& profile, int batch, int step,
                  void* q, cudaStream_t stream);

// Writes for tokens [0, tokens) of k, which begin with block `first_block` of their sequence, the
// log of each block's sum of exp(logit) to sums [q_heads, blocks], from q's first sequence.
void add_block_sums(const DataShape& shape, const void* k, std::int64_t first_block,
                    std::int64_t tokens, const void* q, std::int64_t blocks, float* sums,
                    cudaStream_t stream);
}  // namespace thriftattn::bench
