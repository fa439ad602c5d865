// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The same tokens in one call or in many, and what later tokens may not change.
#include <algorithm>

#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

// Tokens begin .. end of q of the problem's only sequence, as a call after `end` tokens were
// appended.
struct Stepper {
  explicit Stepper(const Problem& p)
      : problem(p),
        cache(std::move(PagedKvCache::create({.kv_heads = p.shape.kv_heads,
                                              .head_dim = p.shape.head_dim,
                                              .pages = 40,
                                              .numerics = p.shape.numerics,
                                              .high_tier = p.shape.high_tier})
                            .value())),
        sequence(cache.add_sequence().value()),
        out(Tensor::make(DType::kF32, p.q.tokens, p.q.heads, p.q.dim)),
        lse(static_cast<std::size_t>(p.q.tokens * p.q.heads)) {}

  void append_up_to(std::int64_t end) {
    const std::int64_t begin = cache.length(sequence).value();
    const Status status =
        cache.append(sequence, problem.k[0].slice(begin, end), problem.v[0].slice(begin, end));
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // Appends tokens up to row `end` of q and attends rows begin .. end.
  void step(std::int64_t begin, std::int64_t end, const AttendOptions& options) {
    append_up_to(problem.kv_len(0) - problem.q.tokens + end);
    const std::int64_t offsets[] = {0, end - begin};
    const SequenceId sequences[] = {sequence};
    AttendParams params;
    params.q = problem.q.slice(begin, end);
    params.out = out.mutable_view();
    params.out.data = static_cast<float*>(params.out.data) + begin * out.heads * out.dim;
    params.out.tokens = end - begin;
    params.lse = lse.data() + begin * out.heads;
    params.sequences = sequences;
    params.q_offsets = offsets;
    params.options = options;
    const Status status = attend(params, cache);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  const Problem& problem;
  PagedKvCache cache;
  SequenceId sequence;
  Tensor out;
  std::vector<float> lse;
};

void expect_rows(const Stepper& stepped, const Output& whole) {
  ASSERT_TRUE(whole.status.ok()) << whole.status.message();
  EXPECT_TRUE(stepped.out.bytes == whole.out.bytes);
  EXPECT_TRUE(stepped.lse == whole.lse);
}

RunOptions with_unit(SelectionUnit unit) {
  RunOptions options;
  options.attend.selection.unit = unit;
  options.attend.selection.budget.value = 0.15;
  return options;
}

class Chunks : public EveryIsa {};

// Steps of one token give the bits of one call for all, wherever the chunk starts: own blocks are
// 16 bit, also for the row that completes them.
TEST_P(Chunks, DecodeStepsAreOneCall) {
  constexpr SequenceShape kShapes[] = {{448, 64}, {450, 70}, {333, 40}, {100, 100}};
  for (const SequenceShape& shape : kShapes) {
    const Problem problem =
        make_problem({.head_dim = slow() ? 32 : 64, .group = slow() ? 2 : 3, .sequences = {shape}});
    const FilledCache filled = fill_cache(problem);
    for (const SelectionUnit unit : {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead}) {
      for (const Policy policy : {Policy::kFp4Mass, Policy::kBlockMean, Policy::kRandom}) {
        SCOPED_TRACE(::testing::Message()
                     << shape.kv_len << '/' << shape.q_len << " unit " << static_cast<int>(unit)
                     << " policy " << static_cast<int>(policy));
        RunOptions options = with_unit(unit);
        options.attend.selection.policy = policy;
        Stepper stepper(problem);
        for (std::int64_t t = 0; t < shape.q_len; ++t) stepper.step(t, t + 1, options.attend);
        expect_rows(stepper, run(problem, filled, options));
      }
    }
  }
}

void expect_chunks_are_one_call(const Problem& problem, ComputeMode mode) {
  const FilledCache filled = fill_cache(problem);
  for (const std::int64_t chunk : {64, 128, 192}) {
    RunOptions options = with_unit(SelectionUnit::kTile);
    options.attend.mode = mode;
    Stepper stepper(problem);
    for (std::int64_t t = 0; t < 330; t += chunk) {
      stepper.step(t, std::min<std::int64_t>(t + chunk, 330), options.attend);
    }
    expect_rows(stepper, run(problem, filled, options));
  }
}

TEST_P(Chunks, PrefillInMultiplesOf64) {
  for (const HighTier high_tier : {HighTier::kRows16, HighTier::kNested}) {
    const Problem problem = make_problem({.head_dim = slow() ? 32 : 64,
                                          .group = 2,
                                          .sequences = {{330, 330}},
                                          .high_tier = high_tier});
    expect_chunks_are_one_call(problem, ComputeMode::kKv4);
    expect_chunks_are_one_call(problem, ComputeMode::kW4a4);
  }
}

// Tiles lie at absolute positions: a call that starts inside a block has a short first tile.
TEST_P(Chunks, TilesAreAnchoredAtAbsolutePositions) {
  const Problem problem = make_problem({.head_dim = 32, .sequences = {{300, 200}}});
  const Output output = run(problem, fill_cache(problem), with_unit(SelectionUnit::kTile));
  ASSERT_TRUE(output.status.ok()) << output.status.message();
  std::vector<std::int64_t> firsts, lengths;
  for (const UnitTrace& unit : output.trace) {
    firsts.push_back(unit.first_token);
    lengths.push_back(unit.tokens);
  }
  EXPECT_EQ(firsts, (std::vector<std::int64_t>{0, 28, 92, 156}));  // positions 100, 128, 192, 256
  EXPECT_EQ(lengths, (std::vector<std::int64_t>{28, 64, 64, 44}));
}

// kAuto is kToken for up to 16 rows of a sequence and kTile above, sequence by sequence.
TEST_P(Chunks, AutoUnit) {
  for (const std::int64_t q_len : {16, 17}) {
    const Problem problem = make_problem({.head_dim = 32, .group = 2, .sequences = {{300, q_len}}});
    const FilledCache filled = fill_cache(problem);
    const Output chosen = run(problem, filled, with_unit(SelectionUnit::kAuto));
    const Output token = run(problem, filled, with_unit(SelectionUnit::kToken));
    const Output tile = run(problem, filled, with_unit(SelectionUnit::kTile));
    EXPECT_TRUE(chosen.same_bits(q_len <= 16 ? token : tile));
    EXPECT_EQ(chosen.trace.size(), q_len <= 16 ? token.trace.size() : tile.trace.size());
    EXPECT_NE(token.trace.size(), tile.trace.size());
  }
}

// A token's K and V reach no earlier row, or with tiles no earlier tile; and they do reach the
// later ones.
TEST_P(Chunks, Causal) {
  const Problem problem = make_problem({.head_dim = 32,
                                        .kv_heads = 1,
                                        .group = 2,
                                        .sequences = {{330, 330}},
                                        .data = DataKind::kGaussian});
  const FilledCache filled = fill_cache(problem);
  for (const SelectionUnit unit :
       {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead, SelectionUnit::kTile}) {
    const Output before = run(problem, filled, with_unit(unit));
    for (const std::int64_t changed : {0, 63, 64, 200, 329}) {
      SCOPED_TRACE(::testing::Message()
                   << "unit " << static_cast<int>(unit) << " token " << changed);
      Problem other = problem;
      for (int d = 0; d < 32; ++d) {
        other.k[0].set(changed * 32 + d, -2 * problem.k[0].get(changed * 32 + d));
        other.v[0].set(changed * 32 + d, 3 + problem.v[0].get(changed * 32 + d));
      }
      const Output after = run(other, fill_cache(other), with_unit(unit));
      const std::int64_t first = unit == SelectionUnit::kTile ? changed / 64 * 64 : changed;
      for (std::int64_t t = 0; t < first; ++t) {
        ASSERT_TRUE(before.same_row(after, t, t, 0)) << "row " << t;
        ASSERT_TRUE(before.same_row(after, t, t, 1)) << "row " << t;
      }
      EXPECT_FALSE(before.same_row(after, changed, changed, 0));
      EXPECT_FALSE(before.same_row(after, changed, changed, 1));
    }
  }
}

THRIFTATTN_FOR_EVERY_ISA(Chunks);

}  // namespace
}  // namespace thriftattn::testing
