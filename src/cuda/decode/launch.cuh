// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Instantiates the decode kernels of one row of the table; each file of inst/ does so once.
#pragma once

#include "cuda/common/launch.cuh"
#include "cuda/decode/cluster_kernel.cuh"
#include "cuda/decode/decode_kernel.cuh"
#include "cuda/decode/launch.h"

namespace thriftattn::cuda {

template <int kHeadDim, HighTier kTier>
struct DecodeLaunch {
  using Score = DecodeTraits<kHeadDim, Phase::kScore, kTier>;
  using Attend = DecodeTraits<kHeadDim, Phase::kAttend, kTier>;
  using AttendTail = DecodeTraits<kHeadDim, Phase::kAttend, kTier, true>;
  // Nested, every block still has a low tile: attend with all of them forced.
  static constexpr Phase kDense = kTier == HighTier::kNested ? Phase::kAttend : Phase::kDense;
  using Dense = DecodeTraits<kHeadDim, kDense, kTier>;
  static constexpr bool kHasCluster = kTier == HighTier::kRows16;

  // As many warps as the device's shared memory feeds, up to those there are. The kernel may ask
  // for all of it, whatever another phase that is the same kernel takes.
  template <class T>
  static cudaError_t prepare_one(void (*kernel)(DecodeArgs), int shared_limit, int& warps) {
    cudaFuncAttributes attributes{};
    cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
    if (error != cudaSuccess) return error;
    const int limit = shared_limit - static_cast<int>(attributes.sharedSizeBytes);
    while (warps > 1 && T::shared_bytes(warps) > limit) --warps;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, limit);
  }

  // How many clusters of each size run side by side; none of those that the device does not have.
  template <class T>
  static cudaError_t count_clusters(int warps, int (&counts)[kClusterSizes]) {
    cudaFuncSetAttribute(cluster_kernel<T>, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    for (int i = 0; i < kClusterSizes; ++i) {
      const int size = 1 << i;
      const ChainedLaunch launch(size, 32 * warps, T::shared_bytes(warps), nullptr, size);
      const cudaError_t error =
          cudaOccupancyMaxActiveClusters(&counts[i], cluster_kernel<T>, &launch.config());
      if (error == cudaSuccess) continue;
      if (size <= kPortableClusterCtas) return error;
      cudaGetLastError();  // which would come up again
      counts[i] = 0;
    }
    return cudaSuccess;
  }

  template <class T>
  static cudaError_t find_paired_warps(int most, int& warps) {
    warps = 0;
    if (T::kMaxWarps < kPairedWarps || most < kPairedWarps) return cudaSuccess;
    int ctas = 0;
    const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        &ctas, cluster_kernel<T>, 32 * kPairedWarps,
        static_cast<std::size_t>(T::shared_bytes(kPairedWarps)));
    if (error == cudaSuccess && ctas > 1) warps = kPairedWarps;
    return error;
  }

  static cudaError_t prepare(DecodeShape& shape) {
    int device = 0;
    int& shared_limit = shape.shared_limit;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) {
      error = cudaDeviceGetAttribute(&shape.ctas, cudaDevAttrMultiProcessorCount, device);
    }
    if (error == cudaSuccess) {
      error =
          cudaDeviceGetAttribute(&shared_limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    }
    shape.score_warps = Score::kMaxWarps;
    shape.attend_warps = Attend::kMaxWarps;
    shape.dense_warps = Dense::kMaxWarps;
    if (error == cudaSuccess) {
      error = prepare_one<Score>(decode_kernel<Score>, shared_limit, shape.score_warps);
    }
    if (error == cudaSuccess) {
      error = prepare_one<Attend>(decode_kernel<Attend>, shared_limit, shape.attend_warps);
    }
    if (error == cudaSuccess) {
      error = prepare_one<AttendTail>(decode_kernel<AttendTail>, shared_limit, shape.attend_warps);
    }
    if (error == cudaSuccess) {
      error = prepare_one<Dense>(decode_kernel<Dense>, shared_limit, shape.dense_warps);
    }
    if constexpr (kHasCluster) {
      if (error == cudaSuccess) {
        error = prepare_one<Dense>(cluster_kernel<Dense>, shared_limit, shape.dense_warps);
      }
      if (error == cudaSuccess) error = count_clusters<Dense>(shape.dense_warps, shape.clusters);
      if (error == cudaSuccess) {
        error = find_paired_warps<Dense>(shape.dense_warps, shape.paired_warps);
      }
    }
    return error;
  }

  template <class T>
  static cudaError_t launch(const DecodeArgs& args, int ctas, int warps, cudaStream_t stream) {
    return launch_chained(decode_kernel<T>, ctas, 32 * warps, T::shared_bytes(warps), stream, args);
  }
  static cudaError_t score(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream) {
    return launch<Score>(args, shape.ctas, shape.score_warps, stream);
  }
  static cudaError_t attend(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream) {
    return args.tail == TailBy::kNone
               ? launch<Attend>(args, shape.ctas, shape.attend_warps, stream)
               : launch<AttendTail>(args, shape.ctas, shape.attend_warps, stream);
  }

  static cudaError_t dense(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream) {
    return launch<Dense>(args, shape.ctas, shape.dense_warps, stream);
  }

  static cudaError_t dense_cluster(const DecodeArgs& args, const DecodeShape& shape,
                                   cudaStream_t stream) {
    return launch_chained(cluster_kernel<Dense>, args.shape.panels * args.parts,
                          32 * shape.dense_warps, Dense::shared_bytes(shape.dense_warps), stream,
                          args, args.parts);
  }

  static constexpr DecodeKernels table() {
    DecodeKernels kernels{kHeadDim, kTier, prepare, score, attend, dense, nullptr};
    if constexpr (kHasCluster) kernels.dense_cluster = dense_cluster;
    return kernels;
  }
};

}  // namespace thriftattn::cuda
