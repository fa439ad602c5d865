// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where the parts of one tile (one block of one kv head) lie. The K part, the V part and the two
// residuals are each one contiguous run, since one pass reads any of them; every part starts on a
// cache line.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"

namespace thriftattn::kv {

inline constexpr std::int64_t kCacheLineBytes = 64;

constexpr std::int64_t round_up_to_line(std::int64_t bytes) {
  return (bytes + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
}

// head_dim 128: K 4096 codes + 512 scales + 256 mean, V 4096 codes + 512 scales + 64 exponents.
struct TileLayout {
  int head_dim = 0;  // a multiple of 16

  // K part: codes u32 [head_dim / 8, 64], scales u8 [head_dim / 16, 64], mean half [head_dim].
  [[nodiscard]] constexpr std::int64_t k_scales() const { return kBlockTokens / 2 * head_dim; }
  [[nodiscard]] constexpr std::int64_t k_mean() const {
    return k_scales() + kBlockTokens / kScaleGroup * head_dim;
  }
  [[nodiscard]] constexpr std::int64_t k_bytes() const {
    return round_up_to_line(k_mean() + std::int64_t{sizeof(half_t)} * head_dim);
  }

  // V part: codes u32 [8, head_dim], scales u8 [4, head_dim], exponents u8 [64].
  [[nodiscard]] constexpr std::int64_t v_scales() const { return kBlockTokens / 2 * head_dim; }
  [[nodiscard]] constexpr std::int64_t v_exponents() const {
    return v_scales() + kBlockTokens / kScaleGroup * head_dim;
  }
  [[nodiscard]] constexpr std::int64_t v_bytes() const { return v_exponents() + kBlockTokens; }

  // Residual of K, residual of V (nested high tier): codes and scales as in the part that they
  // refine, nothing else.
  [[nodiscard]] constexpr std::int64_t residual_scales() const { return k_scales(); }
  [[nodiscard]] constexpr std::int64_t residual_bytes() const { return k_mean(); }
};

static_assert(TileLayout{128}.k_bytes() == 4096 + 512 + 256);
static_assert(TileLayout{128}.v_bytes() == 4096 + 512 + 64);
static_assert(TileLayout{128}.residual_bytes() == 4096 + 512);
static_assert(TileLayout{48}.k_mean() % kCacheLineBytes == 0);
static_assert(TileLayout{48}.v_bytes() % kCacheLineBytes == 0);

}  // namespace thriftattn::kv
