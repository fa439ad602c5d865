// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "thriftattn/block_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "kv/block_values.h"

namespace thriftattn {
namespace {

using testing::BlockRows;
using testing::kTestKvHeads;

constexpr int kHeadDim = 64;

Status create(int kv_heads, int head_dim, std::int64_t blocks) {
  return BlockStore::create({.kv_heads = kv_heads, .head_dim = head_dim, .blocks = blocks})
      .status();
}

TEST(BlockStore, SizesAreThoseOfTheDesign) {
  const BlockStore store = testing::make_store(128);
  EXPECT_EQ(store.k_bytes(), 4096 + 512 + 256);
  EXPECT_EQ(store.v_bytes(), 4096 + 512 + 64);
  EXPECT_EQ(store.tile_bytes(), store.k_bytes() + store.v_bytes());
  EXPECT_EQ(store.config().head_dim, 128);
}

TEST(BlockStore, RejectsShapesByNameAndValue) {
  for (const int head_dim : {-16, 0, 16, 40, 72, 257, 272}) {
    const Status status = create(1, head_dim, 1);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(std::to_string(head_dim)), std::string::npos);
    EXPECT_NE(status.message().find("32 to 256"), std::string::npos);
  }
  for (const int kv_heads : {0, -1, std::numeric_limits<int>::min()}) {
    EXPECT_EQ(create(kv_heads, 64, 1).code(), StatusCode::kInvalidArgument);
  }
  for (const std::int64_t blocks : {std::int64_t{0}, std::int64_t{-1}}) {
    EXPECT_EQ(create(1, 64, blocks).code(), StatusCode::kInvalidArgument);
  }
}

TEST(BlockStore, CapacityThatNoMachineHasIsOutOfMemory) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t blocks : {kMost, kMost / 4, kMost / 5000, std::int64_t{1} << 45}) {
    EXPECT_EQ(create(std::numeric_limits<int>::max(), 256, blocks).code(),
              StatusCode::kOutOfMemory);
    EXPECT_EQ(create(1, 32, blocks).code(), StatusCode::kOutOfMemory);
  }
}

TEST(BlockStore, StateAndGenerationFollowTheCalls) {
  const BlockRows rows = BlockRows::gaussian(kHeadDim, 1);
  BlockStore store = testing::make_store(kHeadDim, {}, 3);
  EXPECT_EQ(store.state(1), BlockStore::State::kOpen);
  EXPECT_EQ(store.generation(1), 0u);
  ASSERT_TRUE(store.seal(1, rows.views(), rows.views()).ok());
  EXPECT_EQ(store.state(1), BlockStore::State::kSealed);
  EXPECT_EQ(store.generation(1), 1u);
  store.invalidate(1);
  EXPECT_EQ(store.state(1), BlockStore::State::kOpen);
  EXPECT_EQ(store.generation(1), 1u);
  ASSERT_TRUE(store.seal(1, rows.views(), rows.views()).ok());
  ASSERT_TRUE(store.seal(1, rows.views(), rows.views()).ok());
  EXPECT_EQ(store.generation(1), 3u);
  EXPECT_EQ(store.state(0), BlockStore::State::kOpen);
  EXPECT_EQ(store.state(2), BlockStore::State::kOpen);
}

TEST(BlockStore, SealRejectsWhatItCannotReadAndChangesNothing) {
  const BlockRows rows = BlockRows::gaussian(kHeadDim, 1);
  const std::vector<RowsView> views = rows.views();
  const std::vector<RowsView> three(3, views[0]);
  std::vector<RowsView> missing = views;
  missing[1].data = nullptr;
  BlockStore store = testing::make_store(kHeadDim, {}, 2);
  for (const std::int64_t block : {std::int64_t{-1}, std::int64_t{2}, std::int64_t{1} << 40}) {
    EXPECT_EQ(store.seal(block, views, views).code(), StatusCode::kInvalidArgument);
    store.invalidate(block);
    EXPECT_EQ(store.state(block), BlockStore::State::kOpen);
    EXPECT_EQ(store.generation(block), 0u);
  }
  EXPECT_EQ(store.seal(0, three, views).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.seal(0, views, three).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.seal(0, {}, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.seal(0, missing, views).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.seal(0, views, missing).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.generation(0), 0u);
  EXPECT_EQ(store.state(0), BlockStore::State::kOpen);
}

TEST(BlockStore, ChannelBoundsAreExactWhereAskedFor) {
  const BlockRows k = BlockRows::gaussian(kHeadDim, 1, 2, -1);
  for (const bool centred : {true, false}) {
    const Numerics numerics{ScaleRule::kFourOverSix, centred, true};
    BlockStore with = testing::make_store(kHeadDim, numerics, 2, true);
    BlockStore without = testing::make_store(kHeadDim, numerics, 1, false);
    ASSERT_TRUE(with.seal(1, k.views(), k.views()).ok());
    ASSERT_TRUE(without.seal(0, k.views(), k.views()).ok());
    for (int head = 0; head < kTestKvHeads; ++head) {
      const BlockSummary summary = with.summary(1, head);
      for (int d = 0; d < kHeadDim; ++d) {
        double low = k.value(head, 0, d);
        double high = low;
        for (int token = 0; token < kBlockTokens; ++token) {
          low = std::min(low, k.value(head, token, d));
          high = std::max(high, k.value(head, token, d));
        }
        EXPECT_EQ(summary.min_k[d], low);
        EXPECT_EQ(summary.max_k_channel[d], high);
      }
      EXPECT_EQ(without.summary(0, head).min_k, nullptr);
      EXPECT_EQ(without.summary(0, head).max_k_channel, nullptr);
    }
  }
}

TEST(BlockStore, BlocksSealedByThreadsAreThoseSealedInOrder) {
  constexpr int kBlocks = 32;
  constexpr int kThreads = 4;
  std::vector<BlockRows> rows;
  for (int block = 0; block < kBlocks; ++block) {
    rows.push_back(BlockRows::gaussian(kHeadDim, static_cast<unsigned>(block)));
  }
  BlockStore serial = testing::make_store(kHeadDim, {}, kBlocks);
  BlockStore parallel = testing::make_store(kHeadDim, {}, kBlocks);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int block = thread; block < kBlocks; block += kThreads) {
        EXPECT_TRUE(parallel.seal(block, rows[block].views(), rows[block].views()).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int block = 0; block < kBlocks; ++block) {
    ASSERT_TRUE(serial.seal(block, rows[block].views(), rows[block].views()).ok());
    for (int head = 0; head < kTestKvHeads; ++head) {
      EXPECT_EQ(testing::stored_bytes(serial, block, head),
                testing::stored_bytes(parallel, block, head));
    }
  }
}

TEST(BlockStore, SealingABlockLeavesItsNeighboursAlone) {
  const BlockRows rows = BlockRows::gaussian(kHeadDim, 1);
  const BlockRows others = BlockRows::gaussian(kHeadDim, 9, 50);
  for (const Numerics& numerics : testing::all_numerics()) {
    BlockStore store = testing::make_store(kHeadDim, numerics, 3, true);
    ASSERT_TRUE(store.seal(1, rows.views(), rows.views()).ok());
    const auto head_0 = testing::stored_bytes(store, 1, 0);
    const auto head_1 = testing::stored_bytes(store, 1, 1);
    ASSERT_TRUE(store.seal(0, others.views(), others.views()).ok());
    ASSERT_TRUE(store.seal(2, others.views(), others.views()).ok());
    EXPECT_EQ(testing::stored_bytes(store, 1, 0), head_0);
    EXPECT_EQ(testing::stored_bytes(store, 1, 1), head_1);
  }
}

}  // namespace
}  // namespace thriftattn
