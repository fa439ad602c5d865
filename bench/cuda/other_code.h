// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What runs between two calls of attention in a model, as far as these calls feel it when L2 is
// flushed: code that takes the place of theirs in the SMs' caches of instructions.
#pragma once

#include <cuda_runtime_api.h>

namespace thriftattn::bench {

// Runs 256 KB of straight-line code once on every SM. Throws where it cannot be launched.
void run_other_code(cudaStream_t stream);

}  // namespace thriftattn::bench
