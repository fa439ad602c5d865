// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// CUDA's errors as Status.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "thriftattn/status.h"

namespace thriftattn::cuda {

// `what` names the step that failed.
inline Status to_status(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  const StatusCode code =
      error == cudaErrorMemoryAllocation ? StatusCode::kOutOfMemory : StatusCode::kInternal;
  return {code, std::string(what) + ": " + cudaGetErrorString(error)};
}

}  // namespace thriftattn::cuda
