// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What an append does rarely, as functions that are linked to the kernels on the device. A launch
// asks for the code of its kernel, up to 128 KB, whether it runs or not, and what it asks for takes
// the place of other code; but not for that of functions which lie elsewhere. The 170 KB of seals
// in select made each step that appends up to 1.2 us longer (docs/kernels/sm90a.md).
#pragma once

#include "cuda/cache/store.cuh"
#include "cuda/decode/fresh_rows.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// Teams of a CTA that seal a block: one for K and one for V, or one for both.
__host__ __device__ constexpr int append_teams(int threads) {
  return threads / kAppendThreads < 2 ? 1 : 2;
}
// Shared memory that they need.
constexpr int append_teams_bytes(int threads, int head_dim) {
  const std::size_t each = head_dim == 64    ? sizeof(AppendScratch<64>)
                           : head_dim == 128 ? sizeof(AppendScratch<128>)
                                             : sizeof(AppendScratch<256>);
  return append_teams(threads) * static_cast<int>(each);
}

// Seals the unit's block that its token, whose row is stored, fills. All threads call it; memory:
// shared, of append_teams_bytes(). Ends with a barrier.
__device__ void seal_block(const FreshArgs& args, const FreshPlace& place, void* memory);

// A token that is refused: keeps the first fault, and takes back what rows were stored. A warp
// calls it.
__device__ void refuse_token(const FreshArgs& args, const FreshPlace& place);

}  // namespace thriftattn::cuda
