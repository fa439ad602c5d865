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
constexpr int kManyUnits = 132;  // CTAs that have an SM each
// Units of fewer blocks are done sooner by one CTA than peers have met: at 2048 by 2 us, while at
// 15625 eight CTAs take 17 us less.
constexpr int kManyBlocks = 4096;
constexpr int kBlocksEach = 1024;
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

using SelectKernel = void (*)(SelectArgs);
SelectKernel select_kernel_for(bool appends, bool cluster) {
  if (cluster) return appends ? select_kernel<true, true> : select_kernel<false, true>;
  return appends ? select_kernel<true, false> : select_kernel<false, false>;
}

// All that the kernels may ask for.
constexpr int kMostSharedBytes = std::max(select_shared_bytes(kMaxBlocks, false), kHalfOfSm);
static_assert(select_keys_offset(true) + append_teams_bytes(kMaxSelectThreads, kMaxHeadDim) <=
              kMostSharedBytes);

}  // namespace

SelectGrid select_grid(const SelectWork& work) {
  SelectGrid grid;
  const auto blocks_each = [&] { return (work.max_blocks + grid.cluster - 1) / grid.cluster; };
  const auto keys_bytes = [&] { return select_shared_bytes(blocks_each(), grid.cluster > 1); };
  const auto gains = [&] {
    return 2 * grid.cluster * work.units <= kManyUnits && work.blocks >= kManyBlocks &&
           work.blocks > grid.cluster * kBlocksEach;
  };
  while (grid.cluster < kPortableClusterCtas && (gains() || keys_bytes() > work.shared_limit)) {
    grid.cluster *= 2;
  }
  const int ctas = work.units * grid.cluster;
  const int wanted = ctas > 264 ? 256 : ctas > kManyUnits ? 512 : kMaxSelectThreads;
  const int busy = (blocks_each() + 31) / 32 * 32 + (work.appends ? kRowThreads : 0);
  grid.threads = std::min(wanted, std::max(256, busy));
  grid.shared_bytes = keys_bytes();
  if (work.appends) {
    const int teams = append_teams_bytes(grid.threads, work.head_dim);
    grid.shared_bytes = std::max(grid.shared_bytes, select_keys_offset(grid.cluster > 1) + teams);
  }
  if (ctas <= kFewUnits) {
    grid.shared_bytes = std::max(grid.shared_bytes, std::min(kHalfOfSm, work.shared_limit));
  }
  return grid;
}

cudaError_t prepare_select(int shared_limit) {
  // For all plans of a device: they share the functions.
  for (const bool appends : {false, true}) {
    for (const bool cluster : {false, true}) {
      const cudaError_t error = cudaFuncSetAttribute(select_kernel_for(appends, cluster),
                                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                     std::min(kMostSharedBytes, shared_limit));
      if (error != cudaSuccess) return error;
    }
  }
  return cudaSuccess;
}

cudaError_t launch_select(const SelectArgs& args, int blocks, int shared_limit,
                          cudaStream_t stream) {
  const int units = args.shape.batch * args.cache.kv_heads;
  const SelectGrid grid = select_grid({.units = units,
                                       .blocks = blocks,
                                       .max_blocks = args.cache.max_blocks,
                                       .head_dim = args.cache.head_dim,
                                       .appends = args.appends,
                                       .shared_limit = shared_limit});
  const bool cluster = grid.cluster > 1;
  int ctas = units * grid.cluster;
  if (args.appends) ctas += (units + grid.cluster - 1) / grid.cluster * grid.cluster;
  return launch_chained(select_kernel_for(args.appends, cluster), ctas, grid.threads,
                        grid.shared_bytes, stream, args, cluster ? grid.cluster : 0);
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
