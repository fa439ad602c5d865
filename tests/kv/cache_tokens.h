// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Tokens to append, and what of them a PagedKvCache holds.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/block_values.h"
#include "thriftattn/kv_cache.h"

namespace thriftattn::testing {

inline constexpr int kTestHeadDim = 32;

// k and v of consecutive tokens, F32 [tokens, kTestKvHeads, kTestHeadDim], holding values that half
// can hold.
struct Tokens {
  std::int64_t count = 0;
  std::vector<float> k;
  std::vector<float> v;

  static Tokens gaussian(std::int64_t count, unsigned seed);
  [[nodiscard]] ConstTensorView k_view(std::int64_t begin, std::int64_t end) const;
  [[nodiscard]] ConstTensorView v_view(std::int64_t begin, std::int64_t end) const;
  // Appends [begin, end) to a sequence.
  Status append(PagedKvCache& cache, SequenceId sequence, std::int64_t begin,
                std::int64_t end) const;
};

PagedKvCache make_cache(std::int64_t pages, const Numerics& numerics = {},
                        HighTier high_tier = HighTier::kRows16);
SequenceId add_sequence(PagedKvCache& cache);

// All that the cache says about a sequence but for where its pages are: length, rows where there
// are any, states and tiles.
std::vector<std::uint8_t> contents(const PagedKvCache& cache, SequenceId sequence);

// Writes NaN into every row of a page that the sequences do not fill.
void poison_unused(PagedKvCache& cache, const std::vector<SequenceId>& sequences);

}  // namespace thriftattn::testing
