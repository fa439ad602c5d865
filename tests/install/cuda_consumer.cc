// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Links the CUDA backend, kernels that were linked on the device too, and the core behind it. Both
// answers are right: devices, or none and why.
#include <cstdio>

#include "thriftattn/cuda.h"

int main() {
  const auto devices = thriftattn::list_cuda_devices();
  if (devices.ok()) {
    std::printf("%d CUDA devices\n", static_cast<int>(devices.value().size()));
  } else {
    std::printf("%s\n", devices.status().message().c_str());
  }
  // Refused before any device is asked.
  const auto cache = thriftattn::CudaKvCache::create({.kv_heads = 1, .head_dim = 63, .pages = 1});
  // All that a plan's calls may launch.
  if (cache.ok()) return thriftattn::CudaAttendPlan::create(cache.value(), 1, 1, 1).ok() ? 2 : 1;
  return 0;
}
