// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode/choices.h"

#include <gtest/gtest.h>

namespace thriftattn::cuda {
namespace {

// Sequences of a length, with one panel a kv head, on an H100.
StepWork step_of(std::int64_t sequences, std::int64_t blocks, std::int64_t kv_heads = 8) {
  const std::int64_t panels = sequences * kv_heads;
  return {panels, panels * blocks, 132, 12};
}

// The shapes of docs/kernels/sm90a.md, where each was timed.
TEST(TailOfStep, TakesWhatWasFaster) {
  EXPECT_EQ(tail_of_step(step_of(8, 2048), false), TailBy::kAnchors);
  EXPECT_EQ(tail_of_step(step_of(1, 15625), false), TailBy::kAnchors);
  EXPECT_EQ(tail_of_step(step_of(8, 512), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(64, 128), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(1, 2048), false), TailBy::kPromoted);
  EXPECT_EQ(tail_of_step(step_of(1, 512), false), TailBy::kNone);
  EXPECT_EQ(tail_of_step(step_of(8, 128), false), TailBy::kNone);
}

TEST(TailOfStep, AlwaysHasOneIfAsked) {
  for (const std::int64_t blocks : {1, 100, 10000}) {
    EXPECT_NE(tail_of_step(step_of(1, blocks), true), TailBy::kNone);
  }
}

}  // namespace
}  // namespace thriftattn::cuda
