// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Appends captured into CUDA graphs.
#include <gtest/gtest.h>

#include "cuda/cache_pair.h"
#include "cuda/captured.h"

namespace thriftattn::testing {
namespace {

class AppendGraph : public OnHighTier {};

// `tokens` rows are captured and replayed with new values in the same memory each time.
void replays_equal_direct_appends(HighTier high_tier, std::int64_t tokens, int replays) {
  CachePair pair({.head_dim = 128, .high_tier = high_tier});
  const SequenceId id = pair.add_sequence();
  const Tensor start = random_rows(30, 2, 128, 70);
  pair.append(id, start, start);
  const Tensor rows = random_rows(tokens * replays, 2, 128, 71);
  const DeviceRows staged = upload(part_of(rows, 0, tokens));
  Captured graph;
  graph.capture([&] {
    EXPECT_TRUE(pair.device.append(id, staged.view, staged.view, graph.stream()).ok());
    EXPECT_FALSE(pair.device.reserve(std::span(&id, 1), 1, graph.stream()).ok());
  });
  EXPECT_EQ(pair.device.length(id).value(), 30);
  for (int i = 0; i < replays; ++i) {
    const Tensor next = part_of(rows, i * tokens, (i + 1) * tokens);
    ASSERT_TRUE(pair.device.reserve(std::span(&id, 1), tokens, graph.stream()).ok());
    ASSERT_EQ(
        cudaMemcpyAsync(staged.memory.data(), next.bytes.data(), next.bytes.size(),
                        cudaMemcpyHostToDevice, static_cast<cudaStream_t>(graph.stream().handle)),
        cudaSuccess);
    graph.replay();
    ASSERT_TRUE(pair.host.append(id, next.view(), next.view()).ok());
  }
  ASSERT_TRUE(pair.device.synchronize(graph.stream()).ok());
  pair.expect_same({id});
}

TEST_P(AppendGraph, ReplaysEqualDirectAppends) { replays_equal_direct_appends(GetParam(), 1, 70); }
TEST_P(AppendGraph, ReplaysOfSeveralTokens) { replays_equal_direct_appends(GetParam(), 7, 20); }
TEST_P(AppendGraph, ReplaysOfLongAppends) { replays_equal_direct_appends(GetParam(), 50, 9); }

TEST_P(AppendGraph, AReplayWithoutRoomAppendsNothingAndSaysSo) {
  for (const std::int64_t tokens : {1, 40}) {
    CachePair pair({.high_tier = GetParam()});
    const SequenceId id = pair.add_sequence();
    const Tensor start = random_rows(64, 2, 64, 72);
    pair.append(id, start, start);
    const DeviceRows rows = upload(random_rows(tokens, 2, 64, 73));
    Captured graph;
    graph.capture(
        [&] { EXPECT_TRUE(pair.device.append(id, rows.view, rows.view, graph.stream()).ok()); });
    graph.replay();
    const Status status = pair.device.synchronize(graph.stream());
    EXPECT_EQ(status.code(), StatusCode::kOutOfMemory) << status.message();
    EXPECT_NE(status.message().find("reserve"), std::string::npos) << status.message();
    pair.expect_same({id});
  }
}

TEST_P(AppendGraph, AReplayForAFreedSequenceTouchesNoOtherPage) {
  CachePair pair({.high_tier = GetParam()});
  const SequenceId gone = pair.add_sequence();
  const SequenceId kept = pair.add_sequence();
  const Tensor start = random_rows(10, 2, 64, 74);
  pair.append(gone, start, start);
  const DeviceRows rows = upload(random_rows(1, 2, 64, 75));
  Captured graph;
  graph.capture(
      [&] { EXPECT_TRUE(pair.device.append(gone, rows.view, rows.view, graph.stream()).ok()); });
  pair.free_sequence(gone);
  pair.append(kept, start, start);
  ASSERT_TRUE(pair.device.synchronize({}).ok());
  graph.replay();
  EXPECT_FALSE(pair.device.synchronize(graph.stream()).ok());
  pair.expect_same({kept});
}

TEST_P(AppendGraph, ReservedButNotReplayedTokensAreForgottenBySynchronize) {
  CachePair pair({.high_tier = GetParam()});
  const SequenceId id = pair.add_sequence();
  ASSERT_TRUE(pair.device.reserve(std::span(&id, 1), 100, {}).ok());
  EXPECT_EQ(pair.device.length(id).value(), 100);
  EXPECT_EQ(pair.device.block_table(id).size(), 2u);
  ASSERT_TRUE(pair.device.synchronize({}).ok());
  EXPECT_EQ(pair.device.length(id).value(), 0);
}

INSTANTIATE_TEST_SUITE_P(HighTiers, AppendGraph, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
