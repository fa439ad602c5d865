// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The nested high tier in attend: the oracle over its stored operands, and the laws.
#include <algorithm>

#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

constexpr SelectionUnit kUnits[] = {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead,
                                    SelectionUnit::kTile};
constexpr ComputeMode kModes[] = {ComputeMode::kKv4, ComputeMode::kW4a4};

ProblemShape nested_shape(bool slow) {
  return {.head_dim = slow ? 32 : 64,
          .kv_heads = 2,
          .group = 3,
          .sequences = {{330, 2}, {65, 1}, {700, 1}, {200, 70}, {64, 3}},
          .high_tier = HighTier::kNested};
}

RunOptions with(SelectionUnit unit, ComputeMode mode = ComputeMode::kKv4) {
  RunOptions options;
  options.attend.selection.unit = unit;
  options.attend.selection.budget.value = 0.2;
  options.attend.mode = mode;
  return options;
}

void expect_same(const Output& a, const Output& b) {
  ASSERT_TRUE(a.status.ok()) << a.status.message();
  ASSERT_TRUE(b.status.ok()) << b.status.message();
  EXPECT_TRUE(a.same_bits(b));
}

class Nested : public EveryIsa {};

TEST_P(Nested, DataAndNumericsAgainstTheOracle) {
  for (const DataKind data : {DataKind::kGaussian, DataKind::kChannelOffsets, DataKind::kSink,
                              DataKind::kNeedles, DataKind::kOutliers}) {
    for (const Numerics& numerics : {Numerics{}, Numerics::plain()}) {
      for (const ComputeMode mode : kModes) {
        ProblemShape shape = nested_shape(true);
        shape.sequences = {{330, 3}, {200, 70}};
        shape.kv_heads = 1;
        shape.data = data;
        shape.numerics = numerics;
        const Problem problem = make_problem(shape);
        const FilledCache filled = fill_cache(problem);
        const RunOptions options = with(SelectionUnit::kAuto, mode);
        const Output output = run(problem, filled, options);
        const auto source = source_of(problem, filled);
        expect_oracle(problem, *source, options, output);
        expect_consistent(problem, *source, options, output);
      }
    }
  }
}

TEST_P(Nested, HeadDimsUnitsAndBudgetsAgainstTheOracle) {
  for (const int head_dim : {32, 48, 128, 256}) {
    if (slow() && head_dim > 48) continue;
    const Problem problem = make_problem({.head_dim = head_dim,
                                          .group = 2,
                                          .sequences = {{400, 5}, {130, 66}},
                                          .high_tier = HighTier::kNested});
    const FilledCache filled = fill_cache(problem);
    const auto source = source_of(problem, filled);
    for (const SelectionUnit unit : kUnits) {
      for (const Budget& budget :
           {Budget{Budget::Kind::kFraction, 0.3}, Budget{Budget::Kind::kFraction, 1.0, 1.0, 0.5},
            Budget{Budget::Kind::kAll, 0}}) {
        RunOptions options = with(unit);
        options.attend.selection.budget = budget;
        const Output output = run(problem, filled, options);
        expect_oracle(problem, *source, options, output);
        expect_consistent(problem, *source, options, output);
      }
    }
  }
}

TEST_P(Nested, RunsThreadsPagesAndSources) {
  const Problem problem = make_problem(nested_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  const std::unique_ptr<Executor> pool = make_thread_pool(3);
  for (const SelectionUnit unit : kUnits) {
    RunOptions options = with(unit);
    options.attend.split_blocks = 2;
    const Output want = run(problem, filled, options);
    expect_same(want, run(problem, filled, options));
    expect_same(want, run(problem, fill_cache(problem, {.shuffled = false}), options));
    expect_same(want, run(problem, fill_cache(problem, {.piece = 63}), options));
    // The rows that a foreign owner keeps are not what is read.
    expect_same(want, run(problem, CustomSource(problem, RowFormat::kHalf), options));
    options.executor = pool.get();
    expect_same(want, run(problem, filled, options));
  }
}

TEST_P(Nested, CompanyInTheBatch) {
  const Problem problem = make_problem(nested_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    const Output together = run(problem, filled, with(unit));
    for (int s = 0; s < static_cast<int>(problem.k.size()); ++s) {
      const Problem alone = only_sequence(problem, s);
      const Output output = run(alone, fill_cache(alone), with(unit));
      ASSERT_TRUE(output.status.ok()) << output.status.message();
      for (std::int64_t t = 0; t < alone.q.tokens; ++t) {
        for (int h = 0; h < alone.q.heads; ++h) {
          ASSERT_TRUE(output.same_row(together, t, problem.q_offsets[s] + t, h))
              << "sequence " << s << " token " << t << " head " << h;
        }
      }
    }
  }
}

// Scores that start from kept low-tier ones are those that start from nothing.
TEST_P(Nested, EverythingPromotedIsTheHighTier) {
  const Problem problem = make_problem(nested_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    RunOptions options = with(unit);
    options.attend.selection.tau = 0;
    options.attend.selection.budget = {.kind = Budget::Kind::kAll};
    const Output all = run(problem, filled, options);
    RunOptions fraction = options;
    fraction.attend.selection.budget = {Budget::Kind::kFraction, 1.0, 1.0, 1.0};
    expect_same(all, run(problem, filled, fraction));
    fraction.attend.mode = ComputeMode::kW4a4;
    expect_same(all, run(problem, filled, fraction));
    fraction.attend.selection.policy = Policy::kBlockMean;
    expect_same(all, run(problem, filled, fraction));
    RunOptions crossover = with(unit);
    crossover.attend.crossover_tokens = 1 << 30;
    expect_same(all, run(problem, filled, crossover));
  }
}

TEST_P(Nested, ReplayOfAChosenSet) {
  const Problem problem = make_problem(nested_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    for (const ComputeMode mode : kModes) {
      const Output chosen = run(problem, filled, with(unit, mode));
      RunOptions again = with(unit, mode);
      again.attend.replay = &chosen.trace;
      expect_same(chosen, run(problem, filled, again));
    }
  }
}

// Nothing is promoted and nothing sealed is forced: the residuals are not read.
TEST_P(Nested, TheLowTierIsThatOfACacheWithRows) {
  ProblemShape shape = nested_shape(slow());
  shape.sequences = {{330, 2}, {700, 1}};
  RunOptions options = with(SelectionUnit::kToken);
  options.attend.selection.budget.value = 0;
  options.attend.selection.force_sink = false;
  options.attend.selection.force_own = false;
  const Problem nested = make_problem(shape);
  shape.high_tier = HighTier::kRows16;
  const Problem rows = make_problem(shape);
  expect_same(run(nested, fill_cache(nested), options), run(rows, fill_cache(rows), options));
}

// What a unit reads: tiles of what it scores low, residuals of what it promotes, and the tiles
// under residuals that it did not score first.
TEST_P(Nested, BytesFollowFromTheTrace) {
  ProblemShape shape = nested_shape(true);
  shape.sequences = {{700, 2}, {130, 20}};
  const Problem problem = make_problem(shape);
  const FilledCache filled = fill_cache(problem);
  const auto source = source_of(problem, filled);
  const std::int64_t rows_bytes = 64 * 2 * std::int64_t{shape.head_dim};
  const std::int64_t residual = filled.cache.store().residual_bytes();
  for (const Policy policy : {Policy::kFp4Mass, Policy::kBlockMean}) {
    for (const ComputeMode mode : kModes) {
      RunOptions options = with(SelectionUnit::kAuto, mode);
      options.attend.selection.policy = policy;
      const Output output = run(problem, filled, options);
      std::int64_t low = 0;
      std::int64_t high = 0;
      for (const UnitTrace& unit : output.trace) {
        for (std::size_t b = 0; b < unit.fate.size(); ++b) {
          const unsigned fate = unit.fate[b];
          if ((fate & kFateVisible) == 0) continue;
          const bool nested =
              source->block(unit.sequence, static_cast<std::int64_t>(b), unit.kv_head).nested();
          const bool forced = (fate & kFateForced) != 0;
          const bool high_k = forced || (fate & kFatePromotedK) != 0;
          const bool high_v = forced || (fate & kFatePromotedV) != 0;
          const bool scored = !high_k || (!forced && policy == Policy::kFp4Mass);
          if (scored) low += source->low_k_bytes();
          if (high_k) high += nested ? residual : rows_bytes;
          // In w4a4 the kept score is that of a rounded q.
          if (high_k && nested && !(scored && mode == ComputeMode::kKv4)) {
            low += source->low_k_bytes();
          }
          if ((fate & kFateTail) != 0) continue;
          if (!high_v || nested) low += source->low_v_bytes();
          if (high_v) high += nested ? residual : rows_bytes;
        }
      }
      EXPECT_EQ(output.report.bytes_low, low);
      EXPECT_EQ(output.report.bytes_high, high);
    }
  }
}

TEST_P(Nested, SameAsScalar) {
  if (slow()) GTEST_SKIP() << "scalar is what the others are compared with";
  for (const int head_dim : {32, 48, 80, 128, 256}) {
    for (const SelectionUnit unit : kUnits) {
      for (const ComputeMode mode : kModes) {
        const Problem problem = make_problem({.head_dim = head_dim,
                                              .group = 2,
                                              .sequences = {{260, 5}, {70, 33}},
                                              .data = DataKind::kOutliers,
                                              .high_tier = HighTier::kNested});
        const FilledCache filled = fill_cache(problem);
        const Output output = run(problem, filled, with(unit, mode));
        ASSERT_TRUE(force_isa("scalar").ok());
        const Output scalar = run(problem, filled, with(unit, mode));
        ASSERT_TRUE(force_isa(GetParam()).ok());
        expect_same(scalar, output);
      }
    }
  }
}

THRIFTATTN_FOR_EVERY_ISA(Nested);

}  // namespace
}  // namespace thriftattn::testing
