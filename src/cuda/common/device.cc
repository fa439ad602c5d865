// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include "cuda/common/error.h"
#include "thriftattn/cuda.h"

namespace thriftattn {
namespace {

// The kernels are built for these: Hopper, and the RTX 50 family.
bool is_supported(int major, int minor) { return (major == 9 && minor == 0) || major == 12; }

}  // namespace

Result<std::vector<CudaDevice>> list_cuda_devices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) return std::vector<CudaDevice>{};
  if (error != cudaSuccess) {
    return unsupported(std::string("no CUDA driver that this build can use: ") +
                       cudaGetErrorString(error));
  }
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (Status s = cuda::to_status(cudaGetDeviceProperties(&properties, i), "device properties");
        !s.ok()) {
      return s;
    }
    devices.push_back({.name = properties.name,
                       .compute_major = properties.major,
                       .compute_minor = properties.minor,
                       .multiprocessors = properties.multiProcessorCount,
                       .memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem),
                       .supported = is_supported(properties.major, properties.minor)});
  }
  return devices;
}

}  // namespace thriftattn
