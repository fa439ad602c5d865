// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "lagged_sets.h"

#include <gtest/gtest.h>

namespace thriftattn::plugin {
namespace {

constexpr std::uint8_t kNone = 0, kLow = kFateVisible, kForced = kLow | kFateForced,
                       kTail = kLow | kFateTail, kHighK = kLow | kFatePromotedK,
                       kBoth = kHighK | kFatePromotedV;

UnitTrace unit(std::vector<std::uint8_t> fate, int kv_head = 0, int sequence = 0) {
  UnitTrace trace;
  trace.sequence = sequence;
  trace.kv_head = kv_head;
  trace.fate = std::move(fate);
  return trace;
}

using Fates = std::vector<std::uint8_t>;

TEST(LaggedSets, ATokenGetsWhatTheOneBeforeChose) {
  LaggedSets sets;
  const AttendTrace first = sets.shift(
      {unit({kForced, kBoth, kLow, kTail, kForced}), unit({kForced, kLow, kBoth, kHighK, kForced})},
      0);
  EXPECT_EQ(first[0].fate, (Fates{kForced, kBoth, kLow, kTail, kForced}));  // none before it
  EXPECT_EQ(first[1].fate, (Fates{kForced, kBoth, kLow, kLow, kForced}));
  // The next call goes on; what was promoted is no tail.
  const AttendTrace next = sets.shift({unit({kForced, kTail, kTail, kLow, kForced})}, 0);
  EXPECT_EQ(next[0].fate, (Fates{kForced, kTail, kBoth, kHighK, kForced}));
}

TEST(LaggedSets, TheOwnBlockStaysHighWhenTheNextOneBegins) {
  LaggedSets sets;
  sets.shift({unit({kForced, kLow, kForced, kNone})}, 0);
  const AttendTrace next = sets.shift({unit({kForced, kLow, kTail, kForced})}, 0);
  EXPECT_EQ(next[0].fate, (Fates{kForced, kLow, kForced, kForced}));
}

TEST(LaggedSets, HeadsAndStreamsAreApart) {
  LaggedSets sets;
  sets.shift({unit({kForced, kBoth, kForced}, 0), unit({kForced, kLow, kForced}, 1)}, 0);
  sets.shift({unit({kForced, kLow, kForced}, 0)}, 1);
  const AttendTrace next =
      sets.shift({unit({kForced, kLow, kForced}, 0, 0), unit({kForced, kBoth, kForced}, 1, 0),
                  unit({kForced, kBoth, kForced}, 0, 1)},
                 0);
  EXPECT_EQ(next[0].fate, (Fates{kForced, kBoth, kForced}));
  EXPECT_EQ(next[1].fate, (Fates{kForced, kLow, kForced}));
  EXPECT_EQ(next[2].fate, (Fates{kForced, kLow, kForced}));
}

TEST(LaggedSets, AJumpStartsFromScratch) {
  LaggedSets sets;
  sets.shift({unit({kForced, kBoth, kLow, kForced})}, 0);
  const AttendTrace next = sets.shift({unit({kForced, kForced, kNone, kNone})}, 0);
  EXPECT_EQ(next[0].fate, (Fates{kForced, kForced, kNone, kNone}));
}

}  // namespace
}  // namespace thriftattn::plugin
