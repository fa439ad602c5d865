// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What must not change a single bit: the run, threads, company in the batch, page order, the way of
// appending, unused slots, the ISA, and how a set of promoted blocks came about.
#include <algorithm>

#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

// The readable scalar kernels get a smaller head.
ProblemShape batch_shape(bool slow) {
  return {.head_dim = slow ? 32 : 64,
          .kv_heads = 2,
          .group = 3,
          .sequences = {{330, 2}, {65, 1}, {1100, 1}, {200, 70}, {64, 3}}};
}

RunOptions with_unit(SelectionUnit unit) {
  RunOptions options;
  options.attend.selection.unit = unit;
  options.attend.selection.budget.value = 0.2;
  return options;
}

constexpr SelectionUnit kUnits[] = {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead,
                                    SelectionUnit::kTile};
constexpr Policy kPolicies[] = {Policy::kFp4Mass, Policy::kBlockMean, Policy::kQuest,
                                Policy::kLocal, Policy::kRandom};

bool same_trace(const AttendTrace& a, const AttendTrace& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.sequence == y.sequence && x.kv_head == y.kv_head && x.first_q_head == y.first_q_head &&
           x.q_heads == y.q_heads && x.first_token == y.first_token && x.tokens == y.tokens &&
           x.fate == y.fate;
  });
}

// Bits of the results, and the decisions behind them.
void expect_same(const Output& a, const Output& b) {
  ASSERT_TRUE(a.status.ok()) << a.status.message();
  ASSERT_TRUE(b.status.ok()) << b.status.message();
  EXPECT_TRUE(a.same_bits(b));
  EXPECT_TRUE(same_trace(a.trace, b.trace));
  EXPECT_EQ(a.report.bytes_low, b.report.bytes_low);
  EXPECT_EQ(a.report.bytes_high, b.report.bytes_high);
  EXPECT_EQ(a.report.mass_covered, b.report.mass_covered);
  EXPECT_EQ(a.report.mass_tail, b.report.mass_tail);
}

void expect_same_results(const Output& a, const Output& b) {
  ASSERT_TRUE(a.status.ok()) << a.status.message();
  ASSERT_TRUE(b.status.ok()) << b.status.message();
  EXPECT_TRUE(a.same_bits(b));
}

// Runs tasks backwards, on whichever thread index it likes.
class BackwardsExecutor final : public Executor {
 public:
  [[nodiscard]] int threads() const override { return 5; }
  void run(std::int64_t count, const Task& task) override {
    for (std::int64_t i = count; i-- > 0;) task(i, static_cast<int>((i * 7 + 3) % 5));
  }
};

class Bits : public EveryIsa {};

TEST_P(Bits, TwoRuns) {
  const Problem problem = make_problem(batch_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    expect_same(run(problem, filled, with_unit(unit)), run(problem, filled, with_unit(unit)));
  }
}

TEST_P(Bits, AnyNumberOfThreads) {
  const Problem problem = make_problem(batch_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  BackwardsExecutor backwards;
  for (const SelectionUnit unit : kUnits) {
    RunOptions options = with_unit(unit);
    options.attend.split_blocks = 2;
    const Output want = run(problem, filled, options);
    for (const int threads : {1, 2, 3, 8}) {
      const std::unique_ptr<Executor> pool = make_thread_pool(threads);
      ASSERT_EQ(pool->threads(), threads);
      options.executor = pool.get();
      expect_same(want, run(problem, filled, options));
      expect_same(want, run(problem, filled, options));
    }
    options.executor = &backwards;
    expect_same(want, run(problem, filled, options));
  }
}

// Decode of one long sequence: threads share the splits of two panels, which one thread alone
// computes one after the other.
TEST_P(Bits, AnyNumberOfThreadsForOneRow) {
  const Problem problem = make_problem(
      {.head_dim = 64, .kv_heads = 2, .group = 4, .sequences = {{slow() ? 1500 : 5000, 1}}});
  const FilledCache filled = fill_cache(problem);
  BackwardsExecutor backwards;
  const std::unique_ptr<Executor> pool = make_thread_pool(4);
  RunOptions options = with_unit(SelectionUnit::kToken);
  const Output want = run(problem, filled, options);
  options.executor = &backwards;
  expect_same(want, run(problem, filled, options));
  options.executor = pool.get();
  for (int i = 0; i < 5; ++i) expect_same(want, run(problem, filled, options));
}

// The last splits have no blocks that somebody sees, and so no memory.
TEST_P(Bits, AnyNumberOfThreadsWhereTheEndIsHidden) {
  const Problem problem =
      make_problem({.head_dim = 64, .kv_heads = 2, .group = 4, .sequences = {{900, 1}}});
  CustomSource source(problem, RowFormat::kHalf);
  source.visible_fn = [](int, std::int64_t, std::int64_t block) {
    return block < 3 ? ~std::uint64_t{0} : 0;
  };
  const std::unique_ptr<Executor> pool = make_thread_pool(4);
  RunOptions options = with_unit(SelectionUnit::kToken);
  options.attend.split_blocks = 1;
  const Output want = run(problem, source, options);
  options.executor = pool.get();
  expect_same(want, run(problem, source, options));
}

TEST_P(Bits, CompanyInTheBatch) {
  const Problem problem = make_problem(batch_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    for (const Policy policy :
         {Policy::kFp4Mass, Policy::kBlockMean, Policy::kLocal, Policy::kRandom}) {
      RunOptions options = with_unit(unit);
      options.attend.selection.policy = policy;
      const Output together = run(problem, filled, options);
      for (int s = 0; s < static_cast<int>(problem.k.size()); ++s) {
        SCOPED_TRACE(::testing::Message() << "sequence " << s << " unit " << static_cast<int>(unit)
                                          << " policy " << static_cast<int>(policy));
        const Problem alone = only_sequence(problem, s);
        const Output output = run(alone, fill_cache(alone), options);
        ASSERT_TRUE(output.status.ok()) << output.status.message();
        for (std::int64_t t = 0; t < alone.q.tokens; ++t) {
          for (int h = 0; h < alone.q.heads; ++h) {
            ASSERT_TRUE(output.same_row(together, t, problem.q_offsets[s] + t, h))
                << "token " << t << " head " << h;
          }
        }
      }
    }
  }
}

TEST_P(Bits, PageOrderAndWayOfAppending) {
  const Problem problem = make_problem(batch_shape(slow()));
  const Output want = run(problem, fill_cache(problem, {.shuffled = false}), {});
  for (const std::uint64_t seed : {1, 2, 3}) {
    expect_same(want, run(problem, fill_cache(problem, {.seed = seed}), {}));
  }
  for (const std::int64_t piece : {1, 63, 64, 65}) {
    expect_same(want, run(problem, fill_cache(problem, {.piece = piece}), {}));
  }
}

// Whatever lies in slots that hold no token.
TEST_P(Bits, UnusedSlots) {
  const Problem problem = make_problem(batch_shape(slow()));
  for (const SelectionUnit unit : kUnits) {
    FilledCache filled = fill_cache(problem);
    const Output nan = run(problem, filled, with_unit(unit));
    for (const half_t value : {half_t{0x0000}, half_t{0x7c00}, half_t{0xfc00}, half_t{0x7bff}}) {
      fill_unused(filled, value);
      expect_same(nan, run(problem, filled, with_unit(unit)));
    }
  }
}

// The cache's own source and any other source of the same data.
TEST_P(Bits, ForeignSource) {
  const Problem problem = make_problem(batch_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    const Output want = run(problem, filled, with_unit(unit));
    for (const RowFormat format : {RowFormat::kHalf, RowFormat::kFloat}) {
      expect_same(want, run(problem, CustomSource(problem, format), with_unit(unit)));
    }
  }
}

TEST_P(Bits, ReplayOfAChosenSet) {
  ProblemShape shape = batch_shape(slow());
  shape.channel_bounds = true;
  const Problem problem = make_problem(shape);
  const FilledCache filled = fill_cache(problem);
  for (const Policy policy : kPolicies) {
    for (const SelectionUnit unit : kUnits) {
      if (slow() && policy != Policy::kFp4Mass && unit != SelectionUnit::kTile) continue;
      for (const ComputeMode mode : {ComputeMode::kKv4, ComputeMode::kW4a4}) {
        RunOptions options = with_unit(unit);
        options.attend.selection.policy = policy;
        options.attend.mode = mode;
        const Output chosen = run(problem, filled, options);
        RunOptions again = with_unit(unit);
        again.attend.mode = mode;
        again.attend.replay = &chosen.trace;
        const Output replayed = run(problem, filled, again);
        ASSERT_TRUE(replayed.status.ok()) << replayed.status.message();
        EXPECT_TRUE(chosen.same_bits(replayed));
        EXPECT_TRUE(same_trace(chosen.trace, replayed.trace));
      }
    }
  }
}

// Three ways to ask for everything in the high tier.
TEST_P(Bits, EverythingPromotedIsTheHighTier) {
  const Problem problem = make_problem(batch_shape(slow()));
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit : kUnits) {
    RunOptions options = with_unit(unit);
    options.attend.selection.tau = 0;
    options.attend.selection.budget = {.kind = Budget::Kind::kAll};
    const Output all = run(problem, filled, options);
    RunOptions fraction = options;
    fraction.attend.selection.budget = {Budget::Kind::kFraction, 1.0, 1.0, 1.0};
    expect_same_results(all, run(problem, filled, fraction));
    RunOptions crossover = with_unit(unit);
    crossover.attend.crossover_tokens = 1 << 30;
    expect_same_results(all, run(problem, filled, crossover));
    RunOptions w4a4 = options;  // high-tier arithmetic is the same in both modes
    w4a4.attend.mode = ComputeMode::kW4a4;
    expect_same_results(all, run(problem, filled, w4a4));
    // Nothing left to do in the low tier, so its numerics do not matter.
    ProblemShape plain = batch_shape(slow());
    plain.numerics = Numerics::plain();
    expect_same_results(all, run(problem, fill_cache(make_problem(plain)), options));
  }
}

TEST_P(Bits, SameAsScalar) {
  if (slow()) GTEST_SKIP() << "scalar is what the others are compared with";
  for (const int head_dim : {32, 48, 80, 128, 256}) {
    for (const SelectionUnit unit : kUnits) {
      for (const ComputeMode mode : {ComputeMode::kKv4, ComputeMode::kW4a4}) {
        SCOPED_TRACE(::testing::Message()
                     << "head_dim " << head_dim << " unit " << static_cast<int>(unit));
        const Problem problem = make_problem({.head_dim = head_dim,
                                              .group = head_dim == 80 ? 7 : 2,
                                              .sequences = {{260, 5}, {70, 33}},
                                              .data = DataKind::kOutliers});
        const FilledCache filled = fill_cache(problem);
        RunOptions options = with_unit(unit);
        options.attend.mode = mode;
        const Output output = run(problem, filled, options);
        ASSERT_TRUE(force_isa("scalar").ok());
        const Output scalar = run(problem, filled, options);
        ASSERT_TRUE(force_isa(GetParam()).ok());
        expect_same(scalar, output);
      }
    }
  }
}

THRIFTATTN_FOR_EVERY_ISA(Bits);

}  // namespace
}  // namespace thriftattn::testing
