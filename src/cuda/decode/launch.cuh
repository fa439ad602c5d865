// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Instantiates the decode kernels of one row of the table; each file of inst/ does so once.
#pragma once

#include "cuda/common/launch.cuh"
#include "cuda/decode/decode_kernel.cuh"
#include "cuda/decode/launch.h"

namespace thriftattn::cuda {

template <int kHeadDim, HighTier kTier, bool kAppends>
struct DecodeLaunch {
  using Score = DecodeTraits<kHeadDim, Phase::kScore, kTier>;
  using Attend = DecodeTraits<kHeadDim, Phase::kAttend, kTier, kAppends>;
  // Nested, every block still has a low tile: attend with all of them forced.
  static constexpr Phase kDense = kTier == HighTier::kNested ? Phase::kAttend : Phase::kDense;
  using Dense = DecodeTraits<kHeadDim, kDense, kTier, kAppends>;

  // As many warps as the device's shared memory feeds.
  template <class T>
  static cudaError_t prepare_one(int shared_limit, int& warps) {
    cudaFuncAttributes attributes{};
    cudaError_t error = cudaFuncGetAttributes(&attributes, decode_kernel<T>);
    if (error != cudaSuccess) return error;
    const int limit = shared_limit - static_cast<int>(attributes.sharedSizeBytes);
    warps = T::kMaxWarps;
    while (warps > 1 && T::shared_bytes(warps) > limit) --warps;
    return cudaFuncSetAttribute(decode_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                T::shared_bytes(warps));
  }

  static cudaError_t prepare(DecodeShape& shape) {
    int device = 0;
    int shared_limit = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) {
      error = cudaDeviceGetAttribute(&shape.ctas, cudaDevAttrMultiProcessorCount, device);
    }
    if (error == cudaSuccess) {
      error =
          cudaDeviceGetAttribute(&shared_limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    }
    if constexpr (!kAppends) {
      if (error == cudaSuccess) error = prepare_one<Score>(shared_limit, shape.score_warps);
    }
    if (error == cudaSuccess) error = prepare_one<Attend>(shared_limit, shape.attend_warps);
    if (error == cudaSuccess) error = prepare_one<Dense>(shared_limit, shape.dense_warps);
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
    return launch<Attend>(args, shape.ctas, shape.attend_warps, stream);
  }

  static cudaError_t dense(const DecodeArgs& args, const DecodeShape& shape, cudaStream_t stream) {
    return launch<Dense>(args, shape.ctas, shape.dense_warps, stream);
  }

  static constexpr DecodeKernels table() {
    DecodeKernels kernels{kHeadDim, kTier, kAppends, prepare, nullptr, attend, dense};
    if constexpr (!kAppends) kernels.score = score;
    return kernels;
  }
};

}  // namespace thriftattn::cuda
