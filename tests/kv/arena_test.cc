// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/arena.h"

#include <gtest/gtest.h>

#include <limits>

namespace thriftattn::kv {
namespace {

TEST(Arena, ProductsThatOverflowAreNothing) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(checked_product({3, 5, 7}), 105);
  EXPECT_EQ(checked_product({0, kMost}), 0);
  EXPECT_EQ(checked_product({kMost, 2}), std::nullopt);
  EXPECT_EQ(checked_product({std::int64_t{1} << 32, std::int64_t{1} << 32}), std::nullopt);
  EXPECT_EQ(checked_product({std::int64_t{1} << 30, std::int64_t{1} << 30}), std::int64_t{1} << 60);
}

TEST(Arena, StartsOnACacheLineAndReportsWhatItCannotGet) {
  for (const std::int64_t bytes : {1, 63, 64, 65, 100000}) {
    auto arena = Arena::allocate(bytes);
    ASSERT_TRUE(arena.has_value());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena->at(0)) % 64, 0u);
    *arena->at(bytes - 1) = std::byte{1};
  }
  EXPECT_FALSE(Arena::allocate(std::int64_t{1} << 60).has_value());
}

TEST(Arena, ZeroedArraysAreZero) {
  const auto array = allocate_zeroed<std::uint32_t>(1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(array[i], 0u);
}

}  // namespace
}  // namespace thriftattn::kv
