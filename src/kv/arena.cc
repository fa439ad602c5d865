// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/arena.h"

#include "kv/tile_layout.h"

namespace thriftattn::kv {

std::optional<std::int64_t> checked_product(std::initializer_list<std::int64_t> factors) {
  // Well below 2^63, so that rounding a product up or adding two of them is safe too.
  constexpr std::int64_t kLargest = INT64_MAX / 4;
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (factor == 0) return 0;
    if (product > kLargest / factor) return std::nullopt;
    product *= factor;
  }
  return product;
}

std::optional<Arena> Arena::allocate(std::int64_t bytes) {
  Arena arena;
  if (bytes == 0) return arena;
  arena.bytes_ = round_up_to_line(bytes);
  const auto size = static_cast<std::size_t>(arena.bytes_);
  arena.memory_.reset(
      static_cast<std::byte*>(std::aligned_alloc(std::size_t{kCacheLineBytes}, size)));
  if (arena.memory_ == nullptr) return std::nullopt;
  return arena;
}

}  // namespace thriftattn::kv
