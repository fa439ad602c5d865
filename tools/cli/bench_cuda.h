// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// `thriftattn bench attend --device cuda`. The build has bench_cuda.cc, or without CUDA
// bench_no_cuda.cc.
#pragma once

#include "bench_options.h"

namespace thriftattn::cli {

// Throws CliError, also where the build has no CUDA or the machine no GPU.
void bench_cuda(const BenchOptions& options);

}  // namespace thriftattn::cli
