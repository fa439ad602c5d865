// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Keys, values and queries made on the device, whose block masses look like a head's: the sink
// holds about half of a row's mass, the logs of the other blocks' masses are normal with a
// deviation of 1.8, and the blocks that are heavy change slowly from step to step.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace thriftattn::bench {

struct SyntheticShape {
  int q_heads = 32;
  int kv_heads = 8;
  int head_dim = 128;
  std::int64_t kv_len = 0;
};

// k, v: half [tokens, kv_heads, head_dim], tokens [first, first + tokens) of a sequence.
void make_rows(const SyntheticShape& shape, std::uint64_t sequence, std::int64_t first,
               std::int64_t tokens, void* k, void* v, cudaStream_t stream);
// q: half [batch, q_heads, head_dim], of one step. `angle` turns the direction that decides which
// blocks are heavy: a quarter turn is another context.
void make_queries(const SyntheticShape& shape, int batch, std::uint64_t step, float angle, void* q,
                  cudaStream_t stream);

}  // namespace thriftattn::bench
