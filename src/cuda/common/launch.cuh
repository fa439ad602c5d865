// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Launches with programmatic dependent launch: the kernel may start before the one in front of it
// has ended, and calls ptx::wait_for_previous_kernel before it reads anything that one wrote.
#pragma once

#include <cuda_runtime.h>

namespace thriftattn::cuda {

template <class Args>
cudaError_t launch_chained(void (*kernel)(Args), int grid, int block, int shared_bytes,
                           cudaStream_t stream, const Args& args) {
  cudaLaunchAttribute chained{};
  chained.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  chained.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid));
  config.blockDim = dim3(static_cast<unsigned>(block));
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
  config.stream = stream;
  config.attrs = &chained;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, args);
}

}  // namespace thriftattn::cuda
