// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What benchmarks ask of the device, or throw where it fails.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "thriftattn/status.h"

namespace thriftattn::bench {

// Throw std::runtime_error where a call failed.
void require(const Status& status);
void require(cudaError_t error);
template <class T>
T require(Result<T> result) {
  require(result.status());
  return std::move(result.value());
}

// Device memory, held until the program ends.
void* memory(std::size_t bytes);

}  // namespace thriftattn::bench
