// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What an attend on a device can be given.
#pragma once

#include "cuda/decode/plan.h"
#include "thriftattn/cuda.h"
#include "thriftattn/status.h"

namespace thriftattn::cuda {

// Whose tokens the call appends.
enum class Fresh : bool { kNone, kAll };

// Errors say what was wrong, and what is supported.
Status check_attend(const CudaAttendParams& params, const CudaKvCache& cache,
                    const CudaAttendPlan::Impl& plan, Fresh fresh);

}  // namespace thriftattn::cuda
