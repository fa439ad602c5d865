// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What of an item's K, or of its V, comes to shared memory in turn: a low tile is one stage, its
// residual a second one, 16-bit rows are four, a quarter each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

inline constexpr int kResidualStage = 1;  // of two
static_assert(kQuarters > kResidualStage + 1);

struct Stage {
  const std::byte* from;
  int bytes;
};

template <class T>
struct Stages {
  // Number of stages; kQuarters where they are of rows.
  [[nodiscard]] __device__ static int of_key(const Item& item) {
    const bool high = !T::kLowTier || item.item_class() < kLow;
    if constexpr (!T::kNested) return high ? kQuarters : 1;
    return item.has_open_rows() ? kQuarters : high ? kResidualStage + 1 : 1;
  }
  [[nodiscard]] __device__ static int of_value(const Item& item) {
    const bool high = !T::kLowTier || item.item_class() == kBoth;
    if constexpr (!T::kNested) return high ? kQuarters : 1;
    return item.has_open_rows() ? kQuarters : high ? kResidualStage + 1 : 1;
  }
  [[nodiscard]] __device__ static bool are_rows(int stages) {
    return !T::kLowTier || stages == kQuarters;
  }

  // Where stage `stage` of `stages` lies. cell: of the item's page and kv head.
  [[nodiscard]] __device__ static Stage key(const CacheView& cache, std::size_t cell, int stages,
                                            int stage) {
    return find({cache.low_k, cache.high_k, cache.residual_k, T::kLayout.k_bytes()}, cell, stages,
                stage);
  }
  [[nodiscard]] __device__ static Stage value(const CacheView& cache, std::size_t cell, int stages,
                                              int stage) {
    return find({cache.low_v, cache.high_v, cache.residual_v, T::kLayout.v_bytes()}, cell, stages,
                stage);
  }

 private:
  // K or V of the cache.
  struct Part {
    const std::byte* low;
    const std::byte* rows;
    const std::byte* residual;
    int low_bytes;
  };

  [[nodiscard]] __device__ static Stage find(const Part& part, std::size_t cell, int stages,
                                             int stage) {
    if (are_rows(stages)) {
      constexpr int kBytes = T::kLayout.quarter_bytes();
      return {part.rows + cell * T::kLayout.high_bytes() + stage * kBytes, kBytes};
    }
    if (T::kNested && stage == kResidualStage) {
      return {part.residual + cell * T::kLayout.residual_bytes(), T::kLayout.residual_bytes()};
    }
    return {part.low + cell * part.low_bytes, part.low_bytes};
  }
};

}  // namespace thriftattn::cuda
