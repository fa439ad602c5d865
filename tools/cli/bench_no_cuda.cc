// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_cuda.h"
#include "error.h"

namespace thriftattn::cli {

void bench_cuda(const BenchOptions& /*options*/) {
  throw failure("--device cuda: this build has no CUDA backend (THRIFTATTN_CUDA=OFF)");
}

}  // namespace thriftattn::cli
