// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Launches with programmatic dependent launch: the kernel may start before the one in front of it
// has ended, and calls ptx::wait_for_previous_kernel before it reads anything that one wrote.
#pragma once

#include <cuda_runtime.h>

namespace thriftattn::cuda {

// cluster: CTAs that see each other's shared memory, a divisor of the grid; 0: no such thing.
class ChainedLaunch {
 public:
  ChainedLaunch(int grid, int block, int shared_bytes, cudaStream_t stream, int cluster) {
    attributes_[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes_[0].val.programmaticStreamSerializationAllowed = 1;
    attributes_[1].id = cudaLaunchAttributeClusterDimension;
    attributes_[1].val.clusterDim.x = static_cast<unsigned>(cluster);
    attributes_[1].val.clusterDim.y = 1;
    attributes_[1].val.clusterDim.z = 1;
    config_.gridDim = dim3(static_cast<unsigned>(grid));
    config_.blockDim = dim3(static_cast<unsigned>(block));
    config_.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
    config_.stream = stream;
    config_.attrs = attributes_;
    config_.numAttrs = cluster > 0 ? 2 : 1;
  }
  ChainedLaunch(const ChainedLaunch&) = delete;
  ChainedLaunch& operator=(const ChainedLaunch&) = delete;

  [[nodiscard]] const cudaLaunchConfig_t& config() const { return config_; }

 private:
  cudaLaunchAttribute attributes_[2]{};
  cudaLaunchConfig_t config_{};
};

template <class Args>
cudaError_t launch_chained(void (*kernel)(Args), int grid, int block, int shared_bytes,
                           cudaStream_t stream, const Args& args, int cluster = 0) {
  const ChainedLaunch launch(grid, block, shared_bytes, stream, cluster);
  return cudaLaunchKernelEx(&launch.config(), kernel, args);
}

}  // namespace thriftattn::cuda
