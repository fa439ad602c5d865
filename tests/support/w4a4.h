// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What mode kW4a4 puts in place of q in low-tier scores.
#pragma once

#include <vector>

#include "support/run.h"

namespace thriftattn::testing {

// [tokens, q_heads, head_dim]: NVFP4 of q (scaled, relative to the mean of the unit where it is a
// tile), divided by the scale again. Goes through the library's own codec, which has exhaustive
// tests of its own.
std::vector<double> quantised_q(const Problem& problem, const AttendOptions& options,
                                const AttendTrace& trace);

}  // namespace thriftattn::testing
