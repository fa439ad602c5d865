// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "kv/cache_tokens.h"

namespace thriftattn {
namespace {

using testing::Tokens;

class PagedSource : public ::testing::Test {
 protected:
  // Sequences of 200, 64 and 0 tokens.
  PagedSource() : cache_(testing::make_cache(8)) {
    const Tokens tokens = Tokens::gaussian(200, 1);
    for (const std::int64_t length : {200, 64, 0}) {
      sequences_.push_back(testing::add_sequence(cache_));
      EXPECT_TRUE(tokens.append(cache_, sequences_.back(), 0, length).ok());
    }
  }

  PagedKvCache cache_;
  std::vector<SequenceId> sequences_;
};

TEST_F(PagedSource, SeesExactlyTheTokensUpToItsOwn) {
  const std::int64_t q_lens[] = {200, 5, 0};
  const auto source = cache_.source(sequences_, q_lens);
  ASSERT_TRUE(source.ok());
  const KvSource& s = *source.value();
  EXPECT_EQ(s.kv_heads(), testing::kTestKvHeads);
  EXPECT_EQ(s.head_dim(), testing::kTestHeadDim);
  EXPECT_EQ(s.blocks(0), 4);
  EXPECT_EQ(s.blocks(1), 1);
  EXPECT_EQ(s.blocks(2), 0);
  for (int sequence = 0; sequence < 2; ++sequence) {
    const std::int64_t length = cache_.length(sequences_[sequence]).value();
    for (std::int64_t token = 0; token < q_lens[sequence]; ++token) {
      const std::int64_t position = length - q_lens[sequence] + token;
      EXPECT_EQ(s.own_block(sequence, token), position / kBlockTokens);
      for (std::int64_t block = 0; block < s.blocks(sequence); ++block) {
        const std::uint64_t mask = s.visible(sequence, token, block);
        for (int slot = 0; slot < kBlockTokens; ++slot) {
          ASSERT_EQ((mask >> slot) & 1, block * kBlockTokens + slot <= position ? 1u : 0u)
              << sequence << " " << token << " " << block << " " << slot;
        }
      }
    }
  }
}

TEST_F(PagedSource, BlocksAreTheCachesOwn) {
  const std::int64_t q_lens[] = {1, 1, 0};
  const auto source = cache_.source(sequences_, q_lens);
  ASSERT_TRUE(source.ok());
  const auto table = cache_.block_table(sequences_[0]);
  for (std::int64_t block = 0; block < 4; ++block) {
    for (int head = 0; head < testing::kTestKvHeads; ++head) {
      const BlockView view = source.value()->block(0, block, head);
      EXPECT_EQ(view.sealed, block < 3);
      EXPECT_FALSE(view.non_finite);
      EXPECT_EQ(view.k.data, cache_.k_rows(table[block], head).data);
      EXPECT_EQ(view.v.data, cache_.v_rows(table[block], head).data);
      EXPECT_EQ(view.k.decode, nullptr);
      EXPECT_EQ(view.k.stride_bytes, 2 * testing::kTestHeadDim);
      if (!view.sealed) continue;
      EXPECT_EQ(view.low.k.codes, cache_.store().tile(table[block], head).k.codes);
      EXPECT_EQ(view.low.v.codes, cache_.store().tile(table[block], head).v.codes);
      EXPECT_EQ(view.summary.error_k, cache_.store().summary(table[block], head).error_k);
      EXPECT_EQ(view.summary.block_mean, cache_.store().summary(table[block], head).block_mean);
    }
  }
  EXPECT_TRUE(source.value()->block(1, 0, 0).sealed);
  EXPECT_EQ(source.value()->low_k_bytes(), cache_.store().k_bytes());
  EXPECT_EQ(source.value()->low_v_bytes(), cache_.store().v_bytes());
}

TEST_F(PagedSource, RejectsRowsThatWereNeverAppended) {
  const auto status_of = [&](std::vector<SequenceId> sequences, std::vector<std::int64_t> q_lens) {
    return cache_.source(sequences, q_lens).status();
  };
  const Status status = status_of({sequences_[0]}, {201});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("201"), std::string::npos);
  EXPECT_NE(status.message().find("200"), std::string::npos);
  EXPECT_EQ(status_of({sequences_[2]}, {1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status_of({sequences_[0]}, {-1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status_of({sequences_[0]}, {std::numeric_limits<std::int64_t>::max()}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(status_of({sequences_[0]}, {1, 1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status_of({99}, {1}).code(), StatusCode::kNotFound);
  EXPECT_EQ(status_of({-1}, {0}).code(), StatusCode::kNotFound);
  EXPECT_TRUE(status_of({}, {}).ok());
}

}  // namespace
}  // namespace thriftattn
