// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/shape.h"

#include <string>

namespace thriftattn::kv {

Status check_shape(int kv_heads, int head_dim, std::int64_t capacity, std::int64_t capacity_limit,
                   const char* unit) {
  if (kv_heads < 1) {
    return invalid_argument("kv_heads " + std::to_string(kv_heads) + ": must be at least 1");
  }
  if (head_dim < kMinHeadDim || head_dim > kMaxHeadDim || head_dim % kHeadDimStep != 0) {
    return invalid_argument("head_dim " + std::to_string(head_dim) +
                            ": must be a multiple of 16 from 32 to 256");
  }
  if (capacity < 1 || capacity > capacity_limit) {
    return invalid_argument(std::string(unit) + " " + std::to_string(capacity) +
                            ": must be from 1 to " + std::to_string(capacity_limit));
  }
  return {};
}

Status check_high_tier(HighTier high_tier) {
  if (high_tier <= HighTier::kNested) return {};
  return invalid_argument("high_tier " + std::to_string(static_cast<int>(high_tier)) +
                          ": supported 0 (rows16), 1 (nested)");
}

}  // namespace thriftattn::kv
