// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sources that are not a causal cache: any mask, unsealed blocks, foreign row formats, unknown
// positions.
#include <cmath>

#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

constexpr SelectionUnit kUnits[] = {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead,
                                    SelectionUnit::kTile};

// Whole blocks, holes of all sizes and nothing, by (token, block).
std::uint64_t scattered_mask(int sequence, std::int64_t token, std::int64_t block) {
  Random random(static_cast<std::uint64_t>(sequence * 1000003 + token * 1009 + block));
  switch (random.below(5)) {
    case 0:
      return 0;
    case 1:
      return random.next() & random.next() & random.next();
    case 2:
      return std::uint64_t{1} << random.below(64);
    case 3:
      return random.next();
    default:
      return ~std::uint64_t{0};
  }
}

class Masks : public EveryIsa {
 protected:
  void check(const Problem& problem, const KvSource& source) {
    for (const SelectionUnit unit : kUnits) {
      for (const double budget : {0.0, 0.3, 1.0}) {
        if (slow() && budget != 0.3) continue;
        SCOPED_TRACE(::testing::Message()
                     << "unit " << static_cast<int>(unit) << " budget " << budget);
        RunOptions options;
        options.attend.selection.unit = unit;
        options.attend.selection.budget.value = budget;
        options.attend.split_blocks = 3;
        const Output output = run(problem, source, options);
        expect_oracle(problem, source, options, output);
        expect_consistent(problem, source, options, output);
      }
    }
  }

  // Only full blocks: an arbitrary mask may show every slot.
  Problem problem_ = make_problem(
      {.head_dim = 48, .kv_heads = slow() ? 1 : 2, .group = 2, .sequences = {{320, 70}, {192, 2}}});
};

TEST_P(Masks, Scattered) {
  for (const RowFormat format : {RowFormat::kHalf, RowFormat::kFloat, RowFormat::kBfloat16}) {
    CustomSource source(problem_, format);
    source.visible_fn = scattered_mask;
    check(problem_, source);
  }
}

TEST_P(Masks, ScatteredWithoutForcing) {
  CustomSource source(problem_, RowFormat::kHalf);
  source.visible_fn = scattered_mask;
  RunOptions options;
  options.attend.selection = Selection::paper();
  for (const SelectionUnit unit : kUnits) {
    for (const ComputeMode mode : {ComputeMode::kKv4, ComputeMode::kW4a4}) {
      options.attend.selection.unit = unit;
      options.attend.mode = mode;
      const Output output = run(problem_, source, options);
      expect_oracle(problem_, source, options, output);
      expect_consistent(problem_, source, options, output);
    }
  }
}

TEST_P(Masks, SlidingWindow) {
  CustomSource source(problem_, RowFormat::kHalf);
  source.visible_fn = [](int s, std::int64_t token, std::int64_t block) {
    const std::int64_t position = (s == 0 ? 250 : 190) + token;
    return causal_mask(position, block) & ~causal_mask(position - 100, block);
  };
  check(problem_, source);
}

TEST_P(Masks, UnsealedBlocks) {
  CustomSource source(problem_, RowFormat::kHalf);
  source.unseal(0, 0);
  source.unseal(0, 2);
  source.unseal(1, 1);
  check(problem_, source);
  for (const std::int64_t b : {0, 1, 2, 3, 4}) source.unseal(0, b);
  check(problem_, source);
}

TEST_P(Masks, UnknownPositions) {
  CustomSource source(problem_, RowFormat::kHalf);
  source.own_fn = [](int, std::int64_t) { return -1; };
  check(problem_, source);
}

// A masked slot may hold anything in a block that is marked as holding it.
TEST_P(Masks, MaskedNonFiniteSlots) {
  const auto make_source = [&] {
    auto source = std::make_unique<CustomSource>(problem_, RowFormat::kHalf);
    source->visible_fn = [](int s, std::int64_t token, std::int64_t block) {
      return scattered_mask(s, token, block) & ~(std::uint64_t{1} << 7);
    };
    source->unseal(0, 1);
    return source;
  };
  const auto clean = make_source();
  const auto spoiled = make_source();
  spoiled->spoil(0, 64 + 7, true, 3, NAN);
  spoiled->spoil(0, 64 + 7, false, 5, INFINITY);
  for (const SelectionUnit unit : kUnits) {
    RunOptions options;
    options.attend.selection.unit = unit;
    const Output output = run(problem_, *spoiled, options);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    EXPECT_TRUE(run(problem_, *clean, options).same_bits(output))
        << "unit " << static_cast<int>(unit);
    expect_oracle(problem_, *spoiled, options, output);
  }
}

THRIFTATTN_FOR_EVERY_ISA(Masks);

}  // namespace
}  // namespace thriftattn::testing
