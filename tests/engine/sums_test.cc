// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sums that must come out: weights to one, masses to one, what nobody sees to nothing, and the
// bytes of a call.
#include <cmath>

#include "oracle/formats_f64.h"
#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

class Sums : public EveryIsa {};

// V = 1 in both tiers: the output is the sum of the weights over itself.
TEST_P(Sums, WeightsAddUpToOne) {
  for (const SelectionUnit unit : {SelectionUnit::kToken, SelectionUnit::kTile}) {
    Problem problem = make_problem(
        {.head_dim = 64, .kv_heads = 2, .group = 2, .sequences = {{700, 3}, {65, 65}}});
    for (Tensor& v : problem.v) {
      for (std::int64_t i = 0; i < v.size(); ++i) v.set(i, 1.0);
    }
    const FilledCache filled = fill_cache(problem);
    RunOptions options;
    options.attend.selection.unit = unit;
    const Output output = run(problem, filled, options);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    // Both sums round each of their terms once: n 2^-24 either way.
    const std::vector<double> got = output.out.values();
    EXPECT_WITHIN(got, std::vector<double>(got.size(), 1.0),
                  std::vector<double>(got.size(), 700 * 0x1p-23));
  }
}

TEST_P(Sums, MassesAddUpToOne) {
  const Problem problem =
      make_problem({.head_dim = 64, .group = 4, .sequences = {{1000, 2}, {50, 3}}});
  const FilledCache filled = fill_cache(problem);
  RunOptions options;
  options.attend.selection.budget = {.kind = Budget::Kind::kAll};
  options.attend.selection.tau = 0;
  const Output all = run(problem, filled, options);
  EXPECT_NEAR(all.report.mass_covered, 20, 20 * 1000 * 0x1p-23);
  EXPECT_EQ(all.report.mass_tail, 0);
  // Nothing promoted and nothing forced: only the open blocks are covered.
  options.attend.selection = Selection::paper();
  options.attend.selection.budget.value = 0;
  const Output none = run(problem, filled, options);
  EXPECT_EQ(none.report.promoted_k, 0);
  EXPECT_GT(none.report.mass_covered, 12 - 1e-4);  // the short sequence is all open
  EXPECT_LT(none.report.mass_covered, 20);
}

TEST_P(Sums, NoVisibleKey) {
  const Problem problem =
      make_problem({.head_dim = 48, .kv_heads = 2, .group = 2, .sequences = {{200, 70}}});
  CustomSource source(problem, RowFormat::kHalf);
  const auto causal = source.visible_fn;
  source.visible_fn = [causal](int s, std::int64_t token, std::int64_t block) {
    return token % 3 == 1 ? 0 : causal(s, token, block);
  };
  for (const SelectionUnit unit : {SelectionUnit::kToken, SelectionUnit::kTile}) {
    for (const bool nobody : {false, true}) {
      if (nobody) source.visible_fn = [](int, std::int64_t, std::int64_t) { return 0; };
      RunOptions options;
      options.attend.selection.unit = unit;
      const Output output = run(problem, source, options);
      expect_oracle(problem, source, options, output);
      for (std::int64_t t = nobody ? 0 : 1; t < 70; t += nobody ? 1 : 3) {
        for (int h = 0; h < 4; ++h) {
          EXPECT_EQ(output.lse[t * 4 + h], -INFINITY);
          for (int d = 0; d < 48; ++d) EXPECT_EQ(output.out.get((t * 4 + h) * 48 + d), 0.0);
        }
      }
    }
    source.visible_fn = [causal](int s, std::int64_t token, std::int64_t block) {
      return token % 3 == 1 ? 0 : causal(s, token, block);
    };
  }
}

TEST_P(Sums, EmptyCalls) {
  const Problem problem = make_problem({.head_dim = 32, .sequences = {{100, 0}, {64, 0}}});
  const Output output = run(problem, fill_cache(problem));
  EXPECT_TRUE(output.status.ok()) << output.status.message();
  EXPECT_EQ(output.report.rows, 0);
  EXPECT_TRUE(output.trace.empty());
}

// Budget kAll against plain attention over the original numbers: no block, tile or source in
// between.
TEST_P(Sums, HighTierIsPlainAttention) {
  const Problem problem = make_problem(
      {.head_dim = 64, .kv_heads = 2, .group = 2, .sequences = {{150, 20}, {64, 1}, {5, 5}}});
  RunOptions options;
  options.attend.selection.budget = {.kind = Budget::Kind::kAll};
  options.attend.selection.tau = 0;
  const Output output = run(problem, fill_cache(problem), options);
  ASSERT_TRUE(output.status.ok()) << output.status.message();
  const std::vector<double> got = output.out.values();
  for (int s = 0; s < 3; ++s) {
    const Problem alone = only_sequence(problem, s);
    const std::vector<double> q = alone.q.values();
    const std::vector<double> k = alone.k[0].values();
    const std::vector<double> v = alone.v[0].values();
    oracle::attend_f64_original(
        {.q = q,
         .k = k,
         .v = v,
         .q_heads = 4,
         .kv_heads = 2,
         .head_dim = 64,
         .softmax_scale = effective_scale(alone, {})},
        [&](const oracle::Row& row) {
          const std::int64_t at = ((problem.q_offsets[s] + row.token) * 4 + row.q_head) * 64;
          const RowBound bound = row_bound(row, {.head_dim = 64});
          EXPECT_WITHIN(std::vector<double>(got.begin() + at, got.begin() + at + 64), row.out,
                        bound.out);
          EXPECT_NEAR(output.lse[at / 64], row.lse, bound.lse);
        });
  }
}

// lse, report and trace are optional, and asking for them changes nothing.
TEST_P(Sums, OptionalOutputs) {
  const Problem problem = make_problem({.head_dim = 64, .group = 2, .sequences = {{300, 3}}});
  const FilledCache filled = fill_cache(problem);
  const Output full = run(problem, filled);
  Tensor out = Tensor::make(DType::kF32, 3, 2, 64);
  AttendParams params;
  params.q = problem.q.view();
  params.out = out.mutable_view();
  params.sequences = filled.sequences;
  params.q_offsets = problem.q_offsets;
  ASSERT_TRUE(attend(params, filled.cache).ok());
  EXPECT_TRUE(out.bytes == full.out.bytes);
}

// q and out as views into something larger: only the named rows are written.
TEST_P(Sums, StridedViews) {
  const Problem problem = make_problem({.head_dim = 32, .kv_heads = 2, .sequences = {{130, 3}}});
  const FilledCache filled = fill_cache(problem);
  const Output packed = run(problem, filled);
  constexpr int kTokenStride = 150;
  constexpr int kHeadStride = 40;
  std::vector<float> q(3 * kTokenStride, NAN);
  std::vector<float> out(3 * kTokenStride, 77.0f);
  const auto at = [](std::int64_t i) {
    return i / 64 * kTokenStride + i / 32 % 2 * kHeadStride + i % 32;
  };
  for (std::int64_t i = 0; i < problem.q.size(); ++i) {
    q[at(i)] = static_cast<float>(problem.q.get(i));
  }
  AttendParams params;
  params.q = {q.data(), DType::kF32, 3, 2, 32, kTokenStride, kHeadStride};
  params.out = {out.data(), DType::kF32, 3, 2, 32, kTokenStride, kHeadStride};
  params.sequences = filled.sequences;
  params.q_offsets = problem.q_offsets;
  ASSERT_TRUE(attend(params, filled.cache).ok());
  for (std::int64_t i = 0; i < packed.out.size(); ++i) {
    EXPECT_EQ(out[at(i)], packed.out.get(i));
    out[at(i)] = 77.0f;
  }
  for (const float x : out) EXPECT_EQ(x, 77.0f);
}

// A report adds up over calls, and its bytes follow from the trace: a block's K is read in the low
// tier where it was scored there, in the high tier where forced or promoted; its V once, in its
// tier, unless in the tail.
TEST_P(Sums, BytesFollowFromTheTrace) {
  const Problem problem =
      make_problem({.head_dim = 64, .kv_heads = 2, .group = 2, .sequences = {{700, 2}, {130, 20}}});
  const FilledCache filled = fill_cache(problem);
  const auto source = source_of(problem, filled);
  constexpr std::int64_t kHigh = 64 * 64 * 2;
  for (const Policy policy : {Policy::kFp4Mass, Policy::kBlockMean}) {
    RunOptions options;
    options.attend.selection.policy = policy;
    options.attend.selection.budget.value = 0.2;
    const Output output = run(problem, filled, options);
    std::int64_t low = 0;
    std::int64_t high = 0;
    for (const UnitTrace& unit : output.trace) {
      for (const unsigned fate : unit.fate) {
        if ((fate & kFateVisible) == 0) continue;
        const bool forced = (fate & kFateForced) != 0;
        const bool high_k = forced || (fate & kFatePromotedK) != 0;
        const bool high_v = forced || (fate & kFatePromotedV) != 0;
        // Only policies that rank by masses score a block before they promote it.
        if (!high_k || (!forced && policy == Policy::kFp4Mass)) low += source->low_k_bytes();
        if (high_k) high += kHigh;
        if ((fate & kFateTail) != 0) continue;
        if (high_v) high += kHigh;
        if (!high_v) low += source->low_v_bytes();
      }
    }
    EXPECT_EQ(output.report.bytes_low, low);
    EXPECT_EQ(output.report.bytes_high, high);
    AttendReport twice = output.report;
    twice += output.report;
    EXPECT_EQ(twice.bytes_low, 2 * low);
    EXPECT_EQ(twice.blocks, 2 * output.report.blocks);
    EXPECT_EQ(twice.promoted_share(), output.report.promoted_share());
    EXPECT_EQ(twice.tail_share(), output.report.tail_share());
  }
}

THRIFTATTN_FOR_EVERY_ISA(Sums);

}  // namespace
}  // namespace thriftattn::testing
