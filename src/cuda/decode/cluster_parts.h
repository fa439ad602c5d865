// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which of two kernels a call takes that is all 16 bit: clusters of CTAs, and of how many, or
// panels that are cut.
#pragma once

#include <cstdint>

#include "cuda/decode/launch.h"

namespace thriftattn::cuda {

struct DenseWork {
  int panels = 0;                // 1 or more
  std::int64_t longest = 0;      // blocks of the longest sequence, 1 or more
  std::int64_t blocks = 0;       // of all panels
  std::int64_t block_bytes = 0;  // of K and V
};

// The cluster that each panel gets.
struct ClusterSize {
  int ctas = 0;  // 0: panels are cut instead
  int warps = 0;
};

// Whatever takes less by a model of it, which is fitted to an H100 and an H200
// (docs/kernels/sm90a.md). CTAs have fewer warps where two of them on an SM, that start and end at
// different times, are worth more than one that reads faster.
ClusterSize cluster_size(const DenseWork& work, const DecodeShape& grid);

}  // namespace thriftattn::cuda
