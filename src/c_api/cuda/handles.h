// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The opaque types of the CUDA backend's C API.
#pragma once

#include "thriftattn/c_api_cuda.h"
#include "thriftattn/cuda.h"

struct thriftattn_cuda_cache {
  thriftattn::CudaKvCache cache;
};

struct thriftattn_cuda_attend_state {
  thriftattn::CudaAttendState state;
};

struct thriftattn_cuda_attend_plan {
  thriftattn::CudaAttendPlan plan;
};
