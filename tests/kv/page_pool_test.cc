// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/page_pool.h"

#include <gtest/gtest.h>

#include <limits>

namespace thriftattn::kv {
namespace {

TEST(PagePool, HandsOutEachPageOnceAndTheLastReleasedFirst) {
  auto pool = PagePool::create(4, 1, 32);
  ASSERT_TRUE(pool.has_value());
  for (std::int32_t page = 0; page < 4; ++page) {
    EXPECT_EQ(pool->free_pages(), 4 - page);
    EXPECT_EQ(pool->acquire(), page);
  }
  EXPECT_EQ(pool->free_pages(), 0);
  pool->release(1);
  pool->release(3);
  EXPECT_EQ(pool->free_pages(), 2);
  EXPECT_EQ(pool->acquire(), 3);
  EXPECT_EQ(pool->acquire(), 1);
  EXPECT_EQ(pool->free_pages(), 0);
}

TEST(PagePool, RowsOfAHeadFollowEachOtherAndNoneOverlap) {
  constexpr int kPages = 3;
  constexpr int kHeads = 2;
  constexpr int kHeadDim = 48;
  const auto pool = PagePool::create(kPages, kHeads, kHeadDim);
  ASSERT_TRUE(pool.has_value());
  std::uint16_t next = 0;
  for (int pass = 0; pass < 2; ++pass) {
    next = 0;
    for (std::int32_t page = 0; page < kPages; ++page) {
      for (int head = 0; head < kHeads; ++head) {
        for (int token = 0; token < kBlockTokens; ++token) {
          half_t* rows[] = {pool->k_row(page, head, token), pool->v_row(page, head, token)};
          for (half_t* row : rows) {
            for (int d = 0; d < kHeadDim; ++d, ++next) {
              if (pass == 0) row[d].bits = next;
              ASSERT_EQ(row[d].bits, next);
            }
          }
          EXPECT_EQ(rows[0], pool->k_row(page, head, 0) + token * kHeadDim);
          EXPECT_EQ(rows[1], pool->v_row(page, head, 0) + token * kHeadDim);
        }
      }
    }
  }
  EXPECT_EQ(next, kPages * kHeads * kBlockTokens * kHeadDim * 2);
}

TEST(PagePool, CapacityThatNoMachineHasIsNothing) {
  EXPECT_FALSE(PagePool::create(std::numeric_limits<std::int32_t>::max(),
                                std::numeric_limits<int>::max(), 256)
                   .has_value());
}

}  // namespace
}  // namespace thriftattn::kv
