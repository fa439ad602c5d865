// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend against the double-precision oracle, over the grid of shapes and options, within the
// derived bound.
#include <algorithm>

#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

struct Case {
  ProblemShape shape{.head_dim = 64, .kv_heads = 2, .group = 2, .sequences = {{330, 3}, {70, 2}}};
  RunOptions options;
};

void check(const Case& c) {
  SCOPED_TRACE(describe(c.shape, c.options));
  const Problem problem = make_problem(c.shape);
  const FilledCache filled = fill_cache(problem);
  const Output output = run(problem, filled, c.options);
  const auto source = source_of(problem, filled);
  expect_oracle(problem, *source, c.options, output);
  expect_consistent(problem, *source, c.options, output);
}

constexpr int kHeadDims[] = {32, 48, 64, 80, 96, 128, 160, 256};
constexpr int kGroups[] = {1, 2, 3, 4, 7, 8, 16};
constexpr std::int64_t kQLens[] = {1, 2, 5, 16, 63, 64, 65, 130, 200};
const std::vector<SequenceShape> kLengths[] = {{{1, 1}},
                                               {{63, 1}},
                                               {{64, 1}},
                                               {{64, 64}},
                                               {{65, 2}},
                                               {{128, 1}},
                                               {{1030, 1}},
                                               {{1088, 1}},
                                               {{3, 3}, {700, 5}},
                                               {{129, 7}, {64, 0}, {66, 1}},
                                               {{400, 1}, {1, 1}, {192, 2}, {65, 65}}};
constexpr DataKind kData[] = {DataKind::kGaussian, DataKind::kChannelOffsets, DataKind::kSink,
                              DataKind::kNeedles, DataKind::kOutliers};
constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
constexpr SelectionUnit kUnits[] = {SelectionUnit::kAuto, SelectionUnit::kToken,
                                    SelectionUnit::kTokenPerQHead, SelectionUnit::kTile};
constexpr Policy kPolicies[] = {Policy::kFp4Mass, Policy::kBlockMean, Policy::kQuest,
                                Policy::kLocal, Policy::kRandom};
const Budget kBudgets[] = {{Budget::Kind::kFraction, 0.0}, {Budget::Kind::kFraction, 0.05},
                           {Budget::Kind::kFraction, 0.3}, {Budget::Kind::kFraction, 1, 1, 1},
                           {Budget::Kind::kCount, 2},      {Budget::Kind::kCount, 1000},
                           {Budget::Kind::kMass, 0.5},     {Budget::Kind::kMass, 0.99},
                           {Budget::Kind::kAll, 0}};
constexpr double kTaus[] = {0, 0.01, 0.1, 0.5};

// One axis at a time around the default case.
class Grid : public EveryIsa {};

TEST_P(Grid, HeadDims) {
  for (const int head_dim : kHeadDims) {
    Case c;
    c.shape.head_dim = head_dim;
    check(c);
  }
}

TEST_P(Grid, Groups) {
  for (const int group : kGroups) {
    Case c;
    c.shape.kv_heads = group == 4 ? 3 : 1;
    c.shape.group = group;
    check(c);
  }
}

TEST_P(Grid, QueryLengths) {
  for (const std::int64_t q_len : kQLens) {
    Case c;
    c.shape.kv_heads = 1;
    c.shape.head_dim = 32;
    c.shape.sequences = {{q_len + 150, q_len}, {q_len, q_len}};
    check(c);
    c.options.attend.selection.unit = SelectionUnit::kTokenPerQHead;
    check(c);
  }
}

TEST_P(Grid, RaggedLengths) {
  for (const auto& lengths : kLengths) {
    Case c;
    c.shape.sequences = lengths;
    check(c);
  }
}

TEST_P(Grid, DataAndNumerics) {
  for (const DataKind data : kData) {
    for (const bool plain : {false, true}) {
      Case c;
      c.shape.data = data;
      if (plain) c.shape.numerics = Numerics::plain();
      check(c);
    }
  }
}

TEST_P(Grid, Types) {
  for (const DType q : kTypes) {
    for (const DType out : kTypes) {
      Case c;
      c.shape.q_dtype = q;
      c.options.out = out;
      check(c);
    }
  }
}

TEST_P(Grid, PoliciesAndUnits) {
  for (const Policy policy : kPolicies) {
    for (const SelectionUnit unit : kUnits) {
      Case c;
      c.shape.kv_heads = 1;
      c.shape.sequences = {{500, 20}};
      c.shape.channel_bounds = policy == Policy::kQuest;
      c.options.attend.selection.policy = policy;
      c.options.attend.selection.budget.value = 0.2;
      c.options.attend.selection.unit = unit;
      check(c);
    }
  }
}

TEST_P(Grid, BudgetsAndTails) {
  for (const Budget& budget : kBudgets) {
    for (const double tau : kTaus) {
      Case c;
      c.shape.kv_heads = 1;
      c.shape.sequences = {{700, 2}};
      c.options.attend.selection.budget = budget;
      c.options.attend.selection.tau = tau;
      check(c);
    }
  }
}

TEST_P(Grid, NothingForced) {
  for (const SelectionUnit unit : kUnits) {
    Case c;
    c.options.attend.selection = Selection::paper();
    c.options.attend.selection.unit = unit;
    c.shape.sequences = {{320, 70}, {100, 1}};
    c.shape.kv_heads = 1;
    check(c);
  }
}

TEST_P(Grid, SoftmaxScale) {
  for (const float scale : {0.01f, 0.3f, 1.0f}) {
    Case c;
    c.options.attend.softmax_scale = scale;
    check(c);
  }
}

// Another number of splits is another order of sums, not another answer.
TEST_P(Grid, Splits) {
  for (const int split_blocks : {1, 2, 4, 16, 1000}) {
    Case c;
    c.shape.sequences = {{1300, 2}};
    c.options.attend.split_blocks = split_blocks;
    check(c);
  }
}

TEST_P(Grid, Crossover) {
  for (const std::int64_t tokens : {100, 330, 331, 100000}) {
    Case c;
    c.options.attend.crossover_tokens = tokens;
    c.options.attend.selection.budget = {Budget::Kind::kFraction, 0};
    // expect_consistent checks the budget of unforced blocks: where all are forced, none is left.
    check(c);
  }
}

TEST_P(Grid, W4a4) {
  for (const SelectionUnit unit : kUnits) {
    for (const DataKind data : kData) {
      for (const double budget : {0.0, 0.1}) {
        if (slow() && budget > 0 && data != DataKind::kNeedles) continue;
        Case c;
        c.shape.head_dim = slow() ? 32 : 64;
        c.shape.kv_heads = 1;
        c.shape.data = data;
        c.shape.sequences = {{300, 68}};
        c.options.attend.mode = ComputeMode::kW4a4;
        c.options.attend.selection.unit = unit;
        c.options.attend.selection.budget.value = budget;
        check(c);
      }
    }
  }
}

template <class T, std::size_t n>
const T& pick(Random& random, const T (&values)[n]) {
  return values[random.below(static_cast<std::int64_t>(n))];
}

// Everything at once.
TEST_P(Grid, RandomCases) {
  Random random(20260523);
  const int cases = (slow() ? 15 : 60) * (long_tests() ? 30 : 1);
  for (int i = 0; i < cases; ++i) {
    Case c;
    c.shape.seed = random.next() % 1000;
    c.shape.head_dim = 16 * static_cast<int>(2 + random.below(slow() ? 5 : 15));
    c.shape.kv_heads = static_cast<int>(1 + random.below(3));
    c.shape.group = static_cast<int>(1 + random.below(5));
    c.shape.data = pick(random, kData);
    c.shape.q_dtype = pick(random, kTypes);
    c.shape.numerics.centre_k = random.below(3) != 0;
    c.shape.numerics.token_norms = random.below(3) != 0;
    c.shape.numerics.scale_rule =
        random.below(2) != 0 ? ScaleRule::kFourOverSix : ScaleRule::kNearest;
    c.shape.channel_bounds = true;
    c.shape.high_tier = random.below(3) != 0 ? HighTier::kRows16 : HighTier::kNested;
    c.shape.sequences.clear();
    for (std::int64_t n = 1 + random.below(3); n > 0; --n) {
      const std::int64_t kv_len = 1 + random.below(random.below(2) != 0 ? 70 : 500);
      c.shape.sequences.push_back(
          {kv_len, std::min(kv_len, random.below(4) != 0 ? random.below(5) : random.below(90))});
    }
    c.options.out = pick(random, kTypes);
    c.options.attend.split_blocks = static_cast<int>(1 + random.below(20));
    c.options.attend.mode = random.below(4) != 0 ? ComputeMode::kKv4 : ComputeMode::kW4a4;
    Selection& selection = c.options.attend.selection;
    selection.policy = pick(random, kPolicies);
    selection.budget = pick(random, kBudgets);
    selection.tau = pick(random, kTaus);
    selection.unit = pick(random, kUnits);
    selection.force_sink = random.below(3) != 0;
    selection.force_own = random.below(3) != 0;
    selection.seed = random.next();
    check(c);
  }
}

THRIFTATTN_FOR_EVERY_ISA(Grid);

}  // namespace
}  // namespace thriftattn::testing
