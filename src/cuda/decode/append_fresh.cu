// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Adds and appends a step's own tokens where no select follows its attend: a CTA a unit.
#include "cuda/common/launch.cuh"
#include "cuda/decode/fresh_token.cuh"
#include "cuda/decode/launch.h"

namespace thriftattn::cuda {
namespace {

constexpr int kThreads = 2 * kAppendThreads;  // a team for K and one for V
static_assert(append_teams(kThreads) == 2 && kThreads >= kRowThreads);

__global__ void __launch_bounds__(kThreads)
    append_fresh_kernel(const __grid_constant__ FreshArgs args) {
  extern __shared__ __align__(16) std::byte memory[];
  __shared__ float score[kMaxGroup];
  append_unit(args, static_cast<int>(blockIdx.x), 0, score, memory);
}

}  // namespace

cudaError_t prepare_append_fresh() {
  return cudaFuncSetAttribute(append_fresh_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              append_teams_bytes(kThreads, kMaxHeadDim));
}

cudaError_t launch_append_fresh(const FreshArgs& args, cudaStream_t stream) {
  return launch_chained(append_fresh_kernel, args.shape.batch * args.cache.kv_heads, kThreads,
                        append_teams_bytes(kThreads, args.cache.head_dim), stream, args);
}

}  // namespace thriftattn::cuda
