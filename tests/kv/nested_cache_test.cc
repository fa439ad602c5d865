// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A PagedKvCache with a nested high tier: which rows it keeps, and how much memory it holds.
#include <gtest/gtest.h>

#include <limits>

#include "kv/cache_tokens.h"
#include "kv/page_pool.h"
#include "oracle/formats_f64.h"

namespace thriftattn {
namespace {

using testing::add_sequence;
using testing::contents;
using testing::kTestHeadDim;
using testing::kTestKvHeads;
using testing::Tokens;

constexpr std::int64_t kPageRowBytes = 2 * kTestKvHeads * kBlockTokens * kTestHeadDim * 2;

PagedKvCache make_nested(std::int64_t pages) {
  return testing::make_cache(pages, {}, HighTier::kNested);
}

TEST(NestedCache, RowsLiveUntilTheirBlockIsSealed) {
  const Tokens tokens = Tokens::gaussian(150, 1);
  PagedKvCache cache = make_nested(4);
  const SequenceId sequence = add_sequence(cache);
  for (std::int64_t token = 0; token < tokens.count; ++token) {
    ASSERT_TRUE(tokens.append(cache, sequence, token, token + 1).ok());
    const auto table = cache.block_table(sequence);
    for (std::int64_t block = 0; block < static_cast<std::int64_t>(table.size()); ++block) {
      const bool open = (block + 1) * kBlockTokens > token + 1;
      for (int head = 0; head < kTestKvHeads; ++head) {
        EXPECT_EQ(cache.k_rows(table[block], head).data != nullptr, open) << token << " " << block;
        EXPECT_EQ(cache.v_rows(table[block], head).data != nullptr, open) << token << " " << block;
      }
    }
  }
  const std::int32_t last = cache.block_table(sequence)[2];
  for (int head = 0; head < kTestKvHeads; ++head) {
    const auto k = oracle::decode_rows(cache.k_rows(last, head), kTestHeadDim);
    const auto v = oracle::decode_rows(cache.v_rows(last, head), kTestHeadDim);
    for (std::int64_t token = 128; token < 150; ++token) {
      for (int d = 0; d < kTestHeadDim; ++d) {
        const std::int64_t from = (token * kTestKvHeads + head) * kTestHeadDim + d;
        ASSERT_EQ(k[(token - 128) * kTestHeadDim + d], tokens.k[from]);
        ASSERT_EQ(v[(token - 128) * kTestHeadDim + d], tokens.v[from]);
      }
    }
  }
}

TEST(NestedCache, HoldsTheBytesOfTheDesign) {
  constexpr std::int64_t kPages = 100;
  constexpr double kElements = kPages * kTestKvHeads * 2.0 * kBlockTokens * kTestHeadDim;
  const Tokens tokens = Tokens::gaussian(kPages / 4 * kBlockTokens, 1);
  PagedKvCache nested = make_nested(kPages);
  PagedKvCache rows = testing::make_cache(kPages);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(tokens.append(nested, add_sequence(nested), 0, tokens.count).ok());
    ASSERT_TRUE(tokens.append(rows, add_sequence(rows), 0, tokens.count).ok());
  }
  EXPECT_EQ(nested.free_pages(), 0);
  // One block was open at a time, and its rows are kept for the next one.
  EXPECT_EQ(nested.memory_bytes(), nested.store().memory_bytes() + kPageRowBytes);
  EXPECT_EQ(rows.memory_bytes(), rows.store().memory_bytes() + kPages * kPageRowBytes);
  EXPECT_LT(8 * static_cast<double>(nested.memory_bytes()) / kElements, 9.7);
  EXPECT_LT(2 * nested.memory_bytes(), rows.memory_bytes());
}

TEST(NestedCache, RowsGrowToTheMostOpenBlocksAtOnce) {
  const Tokens tokens = Tokens::gaussian(100, 1);
  PagedKvCache cache = make_nested(40);
  const std::int64_t tiles = cache.store().memory_bytes();
  EXPECT_EQ(cache.memory_bytes(), tiles);
  for (int round = 0; round < 3; ++round) {
    std::vector<SequenceId> sequences;
    for (int i = 0; i < 10; ++i) {
      sequences.push_back(add_sequence(cache));
      ASSERT_TRUE(tokens.append(cache, sequences.back(), 0, 30).ok());
    }
    EXPECT_EQ(cache.memory_bytes(), tiles + 10 * kPageRowBytes);
    for (const SequenceId sequence : sequences) {
      ASSERT_TRUE(tokens.append(cache, sequence, 30, 100).ok());
    }
    EXPECT_EQ(cache.memory_bytes(), tiles + 10 * kPageRowBytes);
    for (const SequenceId sequence : sequences) ASSERT_TRUE(cache.free_sequence(sequence).ok());
    EXPECT_EQ(cache.free_pages(), 40);
  }
}

TEST(NestedCache, TheWayOfAppendingLeavesNoTrace) {
  const Tokens tokens = Tokens::gaussian(330, 1);
  PagedKvCache whole = make_nested(8);
  const SequenceId want = add_sequence(whole);
  ASSERT_TRUE(tokens.append(whole, want, 0, tokens.count).ok());
  for (const std::int64_t piece : {1, 63, 64, 65, 200}) {
    PagedKvCache cache = make_nested(16);
    const SequenceId other = add_sequence(cache);  // takes rows and pages in between
    const SequenceId sequence = add_sequence(cache);
    for (std::int64_t begin = 0; begin < tokens.count; begin += piece) {
      const std::int64_t end = std::min(begin + piece, tokens.count);
      ASSERT_TRUE(tokens.append(cache, sequence, begin, end).ok());
      ASSERT_TRUE(tokens.append(cache, other, begin, end).ok());
    }
    EXPECT_EQ(contents(cache, sequence), contents(whole, want)) << piece;
    EXPECT_EQ(contents(cache, other), contents(whole, want)) << piece;
  }
}

TEST(NestedCache, TilesAreThoseOfACacheThatKeepsItsRows) {
  const Tokens tokens = Tokens::gaussian(128, 2);
  PagedKvCache nested = make_nested(2);
  PagedKvCache rows = testing::make_cache(2);
  const SequenceId a = add_sequence(nested);
  const SequenceId b = add_sequence(rows);
  ASSERT_TRUE(tokens.append(nested, a, 0, 128).ok());
  ASSERT_TRUE(tokens.append(rows, b, 0, 128).ok());
  for (int block = 0; block < 2; ++block) {
    for (int head = 0; head < kTestKvHeads; ++head) {
      EXPECT_EQ(testing::stored_bytes(nested.store(), nested.block_table(a)[block], head, true),
                testing::stored_bytes(rows.store(), rows.block_table(b)[block], head));
    }
  }
}

TEST(NestedCache, AFailedAppendChangesNothing) {
  const Tokens tokens = Tokens::gaussian(400, 1);
  PagedKvCache cache = make_nested(4);
  const SequenceId first = add_sequence(cache);
  const SequenceId second = add_sequence(cache);
  ASSERT_TRUE(tokens.append(cache, first, 0, 60).ok());
  ASSERT_TRUE(tokens.append(cache, second, 0, 64).ok());
  const auto before = contents(cache, first);
  const auto before_second = contents(cache, second);
  const SequenceId both[] = {first, second};
  const std::int64_t too_many[] = {0, 150, 300};
  EXPECT_EQ(cache.append(both, too_many, tokens.k_view(0, 300), tokens.v_view(0, 300)).code(),
            StatusCode::kOutOfMemory);
  Tokens bad = tokens;
  bad.v[50 * kTestKvHeads * kTestHeadDim] = std::numeric_limits<float>::infinity();
  const std::int64_t enough[] = {0, 40, 60};
  EXPECT_EQ(cache.append(both, enough, bad.k_view(0, 60), bad.v_view(0, 60)).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(contents(cache, first), before);
  EXPECT_EQ(contents(cache, second), before_second);
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_TRUE(cache.append(both, enough, tokens.k_view(0, 60), tokens.v_view(0, 60)).ok());
}

TEST(NestedCache, TheSourceSaysWhatABlockIsPromotedTo) {
  const Tokens tokens = Tokens::gaussian(100, 1);
  PagedKvCache cache = make_nested(2);
  const SequenceId sequences[] = {add_sequence(cache)};
  ASSERT_TRUE(tokens.append(cache, sequences[0], 0, 100).ok());
  const std::int64_t q_lens[] = {1};
  const auto source = cache.source(sequences, q_lens);
  ASSERT_TRUE(source.ok());
  const BlockView sealed = source.value()->block(0, 0, 1);
  const BlockView open = source.value()->block(0, 1, 1);
  EXPECT_TRUE(sealed.nested());
  EXPECT_EQ(sealed.k.data, nullptr);
  EXPECT_EQ(sealed.residual.v.codes,
            cache.store().residual(cache.block_table(sequences[0])[0], 1).v.codes);
  EXPECT_FALSE(open.nested());
  EXPECT_NE(open.v.data, nullptr);
}

TEST(NestedCache, ShapesAndTiersThatAreRefused) {
  PagedKvCacheConfig config{.kv_heads = 1, .head_dim = 64, .pages = 1};
  config.high_tier = static_cast<HighTier>(2);
  const Status status = PagedKvCache::create(config).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("high_tier 2"), std::string::npos);
  config.high_tier = HighTier::kNested;
  config.kv_heads = std::numeric_limits<int>::max();
  config.pages = 1 << 30;
  EXPECT_EQ(PagedKvCache::create(config).status().code(), StatusCode::kOutOfMemory);
}

TEST(NestedPagePool, RowsAreReservedTakenAndGivenBack) {
  auto pool = kv::PagePool::create(4, 1, 32, HighTier::kNested);
  ASSERT_TRUE(pool.has_value());
  EXPECT_EQ(pool->row_bytes(), 0);
  ASSERT_TRUE(pool->reserve_rows(2));
  const std::int64_t two = pool->row_bytes();
  const std::int32_t a = pool->acquire();
  const std::int32_t b = pool->acquire();
  half_t* const rows_of_a = pool->k_row(a, 0, 0);
  EXPECT_NE(rows_of_a, nullptr);
  EXPECT_NE(pool->k_row(b, 0, 0), rows_of_a);
  pool->drop_rows(a);
  pool->drop_rows(a);
  EXPECT_EQ(pool->k_row(a, 0, 5), nullptr);
  EXPECT_EQ(pool->v_row(a, 0, 5), nullptr);
  const std::int32_t c = pool->acquire();
  EXPECT_NE(c, a) << "a page without rows is still in use";
  EXPECT_EQ(pool->k_row(c, 0, 0), rows_of_a);
  pool->release(c);
  pool->release(a);
  ASSERT_TRUE(pool->reserve_rows(1));
  EXPECT_EQ(pool->row_bytes(), two);
}

}  // namespace
}  // namespace thriftattn
