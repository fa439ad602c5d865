// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// `thriftattn bench attend` on the CPU.
#pragma once

#include "bench_options.h"

namespace thriftattn::cli {

// Throws CliError.
void bench_cpu(BenchOptions options);

}  // namespace thriftattn::cli
