// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// An item, and what of its K, or of its V, comes to shared memory in turn: a low tile is one stage,
// its residual a second one, 16-bit rows are four, a quarter each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/decode/partition.cuh"

namespace thriftattn::cuda {

inline constexpr int kResidualStage = 1;  // of two
static_assert(kQuarters > kResidualStage + 1);

// A block of a panel: 14 bits of block, 2 of class, 16 of what the class leaves open. All ones: an
// anchor, scored but not summed. Else with rows V's exponent plus 2^15 (of kKeyOnly, whose K tile
// is not read), nested kOpenRows of the open block.
struct alignas(8) Item {
  static constexpr std::uint32_t kAnchor = 0xffff0000u;
  static constexpr std::uint32_t kOpenRows = 0x00010000u;

  std::uint32_t packed;
  std::int32_t
      cell;  // of the page and the kv head; of kOpenRows, of the sequence that has the rows

  [[nodiscard]] __device__ int block() const { return static_cast<int>(packed & 0x3fffu); }
  [[nodiscard]] __device__ int item_class() const { return static_cast<int>(packed >> 14 & 3u); }
  [[nodiscard]] __device__ bool is_anchor() const { return packed >= kAnchor; }
  [[nodiscard]] __device__ bool has_open_rows() const {
    return (packed & Item::kAnchor) == kOpenRows;
  }
  [[nodiscard]] __device__ float v_exponent() const {
    return static_cast<float>(static_cast<int>(packed >> 16) - 0x8000);
  }
};

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
