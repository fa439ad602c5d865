// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cuda/common/launch.cuh"
#include "cuda/decode/launch.h"
#include "cuda/decode/select_kernel.cuh"

namespace thriftattn::cuda {
namespace {

constexpr int kRankThreads = 128;
// With few units each takes an SM for itself, which more than half of the shared memory sees to:
// the kernel starts while most SMs are still busy, and two units on one of the first free ones are
// slower.
constexpr int kFewUnits = 66;
constexpr int kHalfOfSm = 117 * 1024;

__device__ float load_query(const RankArgs& args, std::int64_t at) {
  const std::uint16_t bits = static_cast<const std::uint16_t*>(args.q)[at];
  return args.q_type == DType::kBF16 ? __uint_as_float(static_cast<std::uint32_t>(bits) << 16)
                                     : __half2float(__ushort_as_half(bits));
}

// q . mean of a block, or Quest's bound of q . k (arXiv 2406.10774), summed over the unit's rows. A
// warp a block, a CTA's warps side by side. Rows that are not finite do not count.
__global__ void __launch_bounds__(kRankThreads) rank_kernel(const __grid_constant__ RankArgs args) {
  ptx::wait_for_previous_kernel();
  const CallShape& shape = args.shape;
  const int entry = static_cast<int>(blockIdx.y) / args.cache.kv_heads;
  const int kv_head = static_cast<int>(blockIdx.y) % args.cache.kv_heads;
  const int sequence = shape.sequence[entry];
  const int block = static_cast<int>(blockIdx.x * (kRankThreads / 32) + threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  if (block >= args.cache.lengths[sequence] / kBlockTokens) return;
  const int head_dim = args.cache.head_dim;
  const std::size_t cell = args.cache.cell(args.cache.page(sequence, block), kv_head) *
                           static_cast<std::size_t>(head_dim);
  float rank = 0;
  for (int token = shape.q_begin[entry]; token < shape.q_begin[entry + 1]; ++token) {
    for (int member = 0; member < shape.group; ++member) {
      const std::int64_t at =
          token * args.q_token_stride + (kv_head * shape.group + member) * args.q_head_stride;
      float sum = 0;
      bool finite = true;
      for (int d = lane; d < head_dim; d += 32) {
        const float q = load_query(args, at + d);
        finite &= isfinite(q);
        const float k = args.quest
                            ? (q >= 0 ? args.cache.k_max : args.cache.k_min)[cell + d]
                            : __half2float(__ushort_as_half(args.cache.block_mean[cell + d].bits));
        sum = fmaf(q, k, sum);
      }
      for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
      if (__all_sync(~0u, finite)) rank += sum;
    }
  }
  if (lane == 0)
    args.ranks[static_cast<std::size_t>(blockIdx.y) * args.cache.max_blocks + block] = rank;
}

// Few units: as many threads as help. Many: as many CTAs side by side as there are units.
int select_threads(int units, int max_blocks) {
  const int wanted = units > 264 ? 256 : units > 132 ? 512 : kMaxSelectThreads;
  return std::min(wanted, std::max(256, (max_blocks + 31) / 32 * 32));
}

}  // namespace

cudaError_t prepare_select(int max_blocks) {
  const int bytes = std::max(select_shared_bytes(max_blocks), kHalfOfSm);
  for (const auto kernel : {select_kernel<false>, select_kernel<true>}) {
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t launch_select(const SelectArgs& args, cudaStream_t stream) {
  const int units = args.shape.batch * args.cache.kv_heads;
  int shared_bytes = select_shared_bytes(args.cache.max_blocks);
  if (units <= kFewUnits) shared_bytes = std::max(shared_bytes, kHalfOfSm);
  return launch_chained(args.is_appended ? select_kernel<true> : select_kernel<false>, units,
                        select_threads(units, args.cache.max_blocks), shared_bytes, stream, args);
}

cudaError_t launch_rank(const RankArgs& args, cudaStream_t stream) {
  constexpr int kWarps = kRankThreads / 32;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((args.cache.max_blocks + kWarps - 1) / kWarps),
                        static_cast<unsigned>(args.shape.batch * args.cache.kv_heads));
  config.blockDim = dim3(kRankThreads);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, rank_kernel, args);
}

}  // namespace thriftattn::cuda
