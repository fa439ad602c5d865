// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Bytes of the arrays that hold a cache's blocks.
#pragma once

#include <cstdint>

#include "cuda/common/tile_layout.h"
#include "kv/arena.h"
#include "thriftattn/cuda.h"

namespace thriftattn::cuda {

// Each of K and of V. A sealed block of a nested cache has a residual and no rows: rows are those
// of one open block of each sequence.
struct TierSizes {
  std::int64_t low_k = 0;
  std::int64_t low_v = 0;
  std::int64_t rows = 0;
  std::int64_t residual = 0;
  std::int64_t block_mean = 0;  // elements, as are the bounds
  bool fit = false;             // 64 bits hold all of them

  static TierSizes of(const CudaKvCacheConfig& config) {
    const DeviceTileLayout layout{config.head_dim};
    const bool nested = config.high_tier == HighTier::kNested;
    const std::int64_t blocks_of_rows = nested ? config.max_sequences : config.pages;
    // The largest of them: if it fits so do the others.
    TierSizes sizes;
    if (!kv::checked_product({std::int64_t{config.pages} + config.max_sequences, config.kv_heads,
                              layout.high_bytes()})) {
      return sizes;
    }
    const std::int64_t cells = config.pages * config.kv_heads;
    sizes.fit = true;
    sizes.low_k = cells * layout.k_bytes();
    sizes.low_v = cells * layout.v_bytes();
    sizes.rows = blocks_of_rows * config.kv_heads * layout.high_bytes();
    sizes.residual = nested ? cells * layout.residual_bytes() : 0;
    sizes.block_mean = cells * config.head_dim;
    return sizes;
  }
};

}  // namespace thriftattn::cuda
