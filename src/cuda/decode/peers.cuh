// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The CTAs that share a piece of work: one alone, or a cluster, whose CTAs read each other's shared
// memory.
#pragma once

#include <cooperative_groups.h>

#include "cuda/common/ptx.cuh"

namespace thriftattn::cuda {

template <bool kCluster>
struct Peers {
  __device__ static int count() {
    return kCluster ? static_cast<int>(cooperative_groups::this_cluster().num_blocks()) : 1;
  }
  __device__ static int rank() {
    return kCluster ? static_cast<int>(cooperative_groups::this_cluster().block_rank()) : 0;
  }
  // All threads of all peers meet.
  __device__ static void sync() {
    if constexpr (kCluster) {
      cooperative_groups::this_cluster().sync();
    } else {
      __syncthreads();
    }
  }
  // So too, but orders no memory: what peers read lives until all have read it.
  __device__ static void leave() {
    if constexpr (!kCluster) return;
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }
  // The same place in the shared memory of a peer.
  template <class Value>
  __device__ static const Value* of(int peer, const Value* mine) {
    if constexpr (!kCluster) return mine;
    return cooperative_groups::this_cluster().map_shared_rank(mine, peer);
  }
};

}  // namespace thriftattn::cuda
