// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The threads of a backend. Where ggml runs on OpenMP its workers are shared; where it has its own
// spinning pool, ours sleeps between calls, since two spinning pools on the same CPUs starve each
// other.
#pragma once

#include <memory>

#include "thriftattn/executor.h"

namespace thriftattn::plugin {

std::unique_ptr<Executor> make_executor(int threads);

// nullptr where this build has no OpenMP.
std::unique_ptr<Executor> make_openmp_executor(int threads);

}  // namespace thriftattn::plugin
