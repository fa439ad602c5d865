// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/device.h"

#include <stdexcept>

namespace thriftattn::bench {

void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}
void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

void* memory(std::size_t bytes) {
  void* pointer = nullptr;
  require(cudaMalloc(&pointer, bytes));
  return pointer;
}

}  // namespace thriftattn::bench
