// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Turns 64 rows of one kv head into a tile, its residual and its summary: the definition of the low
// tier and of the nested high tier.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv/tile_layout.h"
#include "thriftattn/formats.h"
#include "thriftattn/tensor.h"

namespace thriftattn::kv {

// What a summary holds besides its channel arrays, and the tile's one scalar.
struct BlockRecord {
  float error_k = 0;
  float error_v = 0;
  float max_k = 0;
  float max_v = 0;
  float nested_error_k = 0;
  float nested_error_v = 0;
  std::int32_t k_exponent = 0;
};

// Values beyond this are treated as non-finite: their norms and scaled forms stay inside fp32.
inline constexpr float kLargestValue = 0x1p120f;

struct SealInput {
  RowsView rows;            // [64, head_dim]
  std::uint64_t valid = 0;  // rows whose bit is clear are never read
  int head_dim = 0;
  Numerics numerics;
};

struct KeyTarget {
  std::byte* tile = nullptr;      // the K part
  half_t* block_mean = nullptr;   // [head_dim]; may be the tile's own mean where K is centred
  float* channel_min = nullptr;   // [head_dim], nullptr = not wanted
  float* channel_max = nullptr;   // [head_dim], with channel_min
  std::byte* residual = nullptr;  // the residual of K, nullptr = not wanted
};

struct ValueTarget {
  std::byte* tile = nullptr;      // the V part
  std::byte* residual = nullptr;  // the residual of V, nullptr = not wanted
};

// Each writes its fields of `record` and returns false, with the target in no particular state,
// where a valid value is not finite. Rows that are not valid have zero residuals (K) or are zero
// (V), and enter neither mean, errors nor maxima.
bool seal_keys(const SealInput& input, const KeyTarget& target, BlockRecord& record);
bool seal_values(const SealInput& input, const ValueTarget& target, BlockRecord& record);

}  // namespace thriftattn::kv
