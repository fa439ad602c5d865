// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "support/run.h"
#include "support/w4a4.h"

namespace thriftattn::testing {
namespace {

struct Counts {
  std::int64_t visible = 0, forced = 0, k = 0, v = 0, tail = 0;
};

Counts count(const UnitTrace& unit) {
  Counts counts;
  for (const unsigned fate : unit.fate) {
    if ((fate & kFateVisible) == 0) {
      EXPECT_EQ(fate, 0u) << "a block that nobody sees has no other fate";
      continue;
    }
    ++counts.visible;
    counts.forced += (fate & kFateForced) != 0;
    counts.k += (fate & kFatePromotedK) != 0;
    counts.v += (fate & kFatePromotedV) != 0;
    counts.tail += (fate & kFateTail) != 0;
    EXPECT_FALSE((fate & kFateForced) != 0 && (fate & (kFatePromotedK | kFatePromotedV)) != 0);
    EXPECT_FALSE((fate & kFatePromotedV) != 0 && (fate & kFatePromotedK) == 0);
  }
  return counts;
}

// ceil with room for the rounding of its argument.
std::int64_t round_up(double blocks) { return static_cast<std::int64_t>(std::ceil(blocks - 1e-6)); }

void expect_budget(const Budget& budget, const Counts& counts) {
  const std::int64_t n = counts.visible - counts.forced;
  switch (budget.kind) {
    case Budget::Kind::kFraction:
    case Budget::Kind::kCount: {
      const bool count = budget.kind == Budget::Kind::kCount;
      const double wanted = count ? budget.value : budget.value * static_cast<double>(n);
      EXPECT_EQ(counts.k, std::min(n, round_up(budget.k_share * wanted))) << "of " << n;
      EXPECT_EQ(counts.v, std::min(counts.k, round_up(budget.v_share * wanted))) << "of " << n;
      break;
    }
    case Budget::Kind::kMass:
      EXPECT_EQ(counts.k, counts.v);
      break;
    case Budget::Kind::kAll:
      EXPECT_EQ(counts.k, n);
      EXPECT_EQ(counts.v, n);
      break;
  }
}

}  // namespace

void expect_consistent(const Problem& problem, const KvSource& source, const RunOptions& options,
                       const Output& output) {
  const AttendReport& report = output.report;
  Counts all;
  for (const UnitTrace& unit : output.trace) {
    const Counts counts = count(unit);
    all.visible += counts.visible;
    all.forced += counts.forced;
    all.k += counts.k;
    all.v += counts.v;
    all.tail += counts.tail;
    if (options.attend.replay == nullptr) expect_budget(options.attend.selection.budget, counts);
  }
  EXPECT_EQ(report.rows, problem.q.tokens * problem.q.heads);
  EXPECT_EQ(report.units, static_cast<std::int64_t>(output.trace.size()));
  EXPECT_EQ(report.blocks, all.visible);
  EXPECT_EQ(report.forced, all.forced);
  EXPECT_EQ(report.promoted_k, all.k);
  EXPECT_EQ(report.promoted_v, all.v);
  EXPECT_EQ(report.tail, all.tail);

  // Masses, from the oracle. Each is a sum of softmax terms, so it is as exact as lse.
  double covered = 0;
  double tail = 0;
  double slack = 1e-12;
  const std::vector<double> q = problem.q.values();
  std::size_t unit = 0;
  std::int64_t row_of_unit = 0;
  const Arithmetic arithmetic{problem.shape.head_dim, options.attend.split_blocks, options.out};
  oracle::Problem question = oracle_problem(problem, source, q, options.attend);
  std::vector<double> q_low;
  if (options.attend.mode == ComputeMode::kW4a4) {
    q_low = quantised_q(problem, options.attend, output.trace);
  }
  question.q_low = q_low;
  oracle::attend_f64(question, output.trace, [&](const oracle::Row& row) {
    const UnitTrace& trace = output.trace[unit];
    const double error = 2 * std::expm1(2 * row_bound(row, arithmetic).lse);
    for (std::size_t b = 0; b < row.masses.size(); ++b) {
      if ((trace.fate[b] & (kFateForced | kFatePromotedK)) != 0) covered += row.masses[b];
    }
    tail += row.mass_tail;
    slack += error;
    EXPECT_LE(row.mass_tail, options.attend.selection.tau + error);
    if (++row_of_unit == trace.tokens * trace.q_heads) {
      row_of_unit = 0;
      ++unit;
    }
  });
  EXPECT_NEAR(report.mass_covered, covered, slack);
  EXPECT_NEAR(report.mass_tail, tail, slack);
}

}  // namespace thriftattn::testing
