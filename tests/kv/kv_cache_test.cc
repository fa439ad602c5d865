// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sequences and pages over the life of a cache.
#include "thriftattn/kv_cache.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "kv/cache_tokens.h"

namespace thriftattn {
namespace {

using testing::add_sequence;
using testing::contents;
using testing::Tokens;

Status create(int kv_heads, int head_dim, std::int64_t pages) {
  return PagedKvCache::create({.kv_heads = kv_heads, .head_dim = head_dim, .pages = pages})
      .status();
}

TEST(KvCache, RejectsShapesAndCapacities) {
  EXPECT_EQ(create(0, 64, 1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(create(1, 50, 1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(create(1, 64, 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(create(1, 64, -5).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(create(1, 64, std::int64_t{1} << 31).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(create(std::numeric_limits<int>::max(), 256, 1 << 30).code(), StatusCode::kOutOfMemory);
}

TEST(KvCache, FreedPagesAndIdsAreUsedAgain) {
  const Tokens tokens = Tokens::gaussian(150, 1);
  PagedKvCache cache = testing::make_cache(5);
  const SequenceId a = add_sequence(cache);
  const SequenceId b = add_sequence(cache);
  EXPECT_NE(a, b);
  ASSERT_TRUE(tokens.append(cache, a, 0, 150).ok());
  ASSERT_TRUE(tokens.append(cache, b, 0, 70).ok());
  EXPECT_EQ(cache.free_pages(), 0);
  const std::vector<std::int32_t> pages(cache.block_table(a).begin(), cache.block_table(a).end());
  const auto b_before = contents(cache, b);

  ASSERT_TRUE(cache.free_sequence(a).ok());
  EXPECT_EQ(cache.free_pages(), 3);
  for (const std::int32_t page : pages) {
    EXPECT_EQ(cache.store().state(page), BlockStore::State::kOpen);
  }
  EXPECT_EQ(cache.length(a).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(cache.block_table(a).empty());
  EXPECT_EQ(cache.free_sequence(a).code(), StatusCode::kNotFound);
  EXPECT_EQ(tokens.append(cache, a, 0, 1).code(), StatusCode::kNotFound);

  const SequenceId c = add_sequence(cache);
  EXPECT_EQ(c, a);
  EXPECT_EQ(cache.length(c).value(), 0);
  ASSERT_TRUE(tokens.append(cache, c, 0, 150).ok());
  EXPECT_EQ(std::vector<std::int32_t>(cache.block_table(c).begin(), cache.block_table(c).end()),
            pages);
  EXPECT_EQ(contents(cache, b), b_before);
}

TEST(KvCache, StaleRowsOfAPageNeverShow) {
  const Tokens tokens = Tokens::gaussian(100, 1);
  PagedKvCache cache = testing::make_cache(2);
  const SequenceId first = add_sequence(cache);
  ASSERT_TRUE(tokens.append(cache, first, 0, 100).ok());
  const auto want = contents(cache, first);
  ASSERT_TRUE(cache.free_sequence(first).ok());
  testing::poison_unused(cache, {});

  const SequenceId second = add_sequence(cache);
  for (std::int64_t token = 0; token < 100; token += 10) {
    ASSERT_TRUE(tokens.append(cache, second, token, token + 10).ok());
    testing::poison_unused(cache, {second});
  }
  EXPECT_EQ(contents(cache, second), want);
}

TEST(KvCache, PagesDependOnTheCallsOnly) {
  const auto run = [] {
    std::vector<std::int32_t> pages;
    PagedKvCache cache = testing::make_cache(20);
    const Tokens tokens = Tokens::gaussian(200, 1);
    const SequenceId a = add_sequence(cache);
    const SequenceId b = add_sequence(cache);
    for (int round = 0; round < 3; ++round) {
      EXPECT_TRUE(tokens.append(cache, a, 0, 65).ok());
      EXPECT_TRUE(tokens.append(cache, b, 0, 100).ok());
    }
    EXPECT_TRUE(cache.free_sequence(a).ok());
    const SequenceId c = add_sequence(cache);
    EXPECT_TRUE(tokens.append(cache, c, 0, 200).ok());
    for (const SequenceId sequence : {b, c}) {
      const auto table = cache.block_table(sequence);
      pages.insert(pages.end(), table.begin(), table.end());
    }
    EXPECT_EQ(std::set<std::int32_t>(pages.begin(), pages.end()).size(), pages.size());
    return pages;
  };
  EXPECT_EQ(run(), run());
}

TEST(KvCache, MovesKeepTheirContents) {
  const Tokens tokens = Tokens::gaussian(100, 1);
  PagedKvCache cache = testing::make_cache(2);
  const SequenceId sequence = add_sequence(cache);
  ASSERT_TRUE(tokens.append(cache, sequence, 0, 100).ok());
  const auto want = contents(cache, sequence);
  PagedKvCache moved = std::move(cache);
  EXPECT_EQ(contents(moved, sequence), want);
  PagedKvCache assigned = testing::make_cache(1);
  assigned = std::move(moved);
  EXPECT_EQ(contents(assigned, sequence), want);
}

TEST(KvCache, ManySequencesComeAndGo) {
  PagedKvCache cache = testing::make_cache(1);
  std::set<SequenceId> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(add_sequence(cache));
  EXPECT_EQ(ids.size(), 1000u);
  for (const SequenceId id : ids) EXPECT_TRUE(cache.free_sequence(id).ok());
  std::set<SequenceId> again;
  for (int i = 0; i < 1000; ++i) again.insert(add_sequence(cache));
  EXPECT_EQ(again, ids);
}

}  // namespace
}  // namespace thriftattn
