// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What is chosen, against masses computed by the oracle: the promoted set is the heaviest, the tail
// the lightest.
#include <algorithm>
#include <cmath>

#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

// Two sums of the same masses, fp32 against double: far below what separates blocks on these
// problems.
constexpr double kSlack = 1e-4;

// Of each unit and block: masses summed over the unit's rows, and their maximum.
struct UnitMasses {
  std::vector<double> sum, largest;
};

std::vector<UnitMasses> masses_of(const Problem& problem, const KvSource& source,
                                  const AttendTrace& trace) {
  std::vector<UnitMasses> result(trace.size());
  const std::vector<double> q = problem.q.values();
  for (std::size_t u = 0; u < trace.size(); ++u) {
    UnitMasses& masses = result[u];
    masses.sum.assign(trace[u].fate.size(), 0.0);
    masses.largest = masses.sum;
    oracle::attend_f64(oracle_problem(problem, source, q, {}), {trace[u]},
                       [&](const oracle::Row& row) {
                         for (std::size_t b = 0; b < row.masses.size(); ++b) {
                           masses.sum[b] += row.masses[b];
                           masses.largest[b] = std::max(masses.largest[b], row.masses[b]);
                         }
                       });
  }
  return result;
}

// The trace as it was before promotion: what the score pass saw.
AttendTrace before_promotion(AttendTrace trace) {
  for (UnitTrace& unit : trace) {
    for (std::uint8_t& fate : unit.fate) fate &= kFateVisible | kFateForced;
  }
  return trace;
}

bool is_candidate(unsigned fate) { return (fate & kFateVisible) != 0 && (fate & kFateForced) == 0; }

class Chosen : public EveryIsa {
 protected:
  void run_unit(SelectionUnit unit, const Budget& budget, double tau) {
    problem_ = make_problem(
        {.head_dim = slow() ? 32 : 64, .group = 3, .sequences = {{900, 3}, {330, 20}}});
    filled_ = std::make_unique<FilledCache>(fill_cache(problem_));
    source_ = source_of(problem_, *filled_);
    RunOptions options;
    options.attend.selection.unit = unit;
    options.attend.selection.budget = budget;
    options.attend.selection.tau = tau;
    output_ = run(problem_, *filled_, options);
    ASSERT_TRUE(output_.status.ok()) << output_.status.message();
  }

  Problem problem_;
  std::unique_ptr<FilledCache> filled_;
  std::unique_ptr<KvSource> source_;
  Output output_;
};

constexpr SelectionUnit kUnits[] = {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead,
                                    SelectionUnit::kTile};

TEST_P(Chosen, PromotedAreTheHeaviestOfTheLowTier) {
  for (const SelectionUnit unit : kUnits) {
    run_unit(unit, {Budget::Kind::kFraction, 0.3, 1.0, 0.4}, 0);
    const auto masses = masses_of(problem_, *source_, before_promotion(output_.trace));
    std::int64_t promoted = 0;
    for (std::size_t u = 0; u < masses.size(); ++u) {
      double lightest_v = 1e9, lightest_k = 1e9, heaviest_k_only = 0, heaviest_low = 0;
      for (std::size_t b = 0; b < masses[u].sum.size(); ++b) {
        const unsigned fate = output_.trace[u].fate[b];
        const double mass = masses[u].sum[b];
        if (!is_candidate(fate)) continue;
        if ((fate & kFatePromotedV) != 0) {
          lightest_v = std::min(lightest_v, mass);
        } else if ((fate & kFatePromotedK) != 0) {
          heaviest_k_only = std::max(heaviest_k_only, mass);
        }
        if ((fate & kFatePromotedK) != 0) {
          lightest_k = std::min(lightest_k, mass);
          ++promoted;
        } else {
          heaviest_low = std::max(heaviest_low, mass);
        }
      }
      EXPECT_GE(lightest_k, heaviest_low - kSlack) << "unit " << u;
      EXPECT_GE(lightest_v, heaviest_k_only - kSlack) << "unit " << u;
    }
    EXPECT_GT(promoted, 0);
  }
}

// The lightest blocks as long as they fit, and not one fewer. Masses are those after promotion.
TEST_P(Chosen, TailIsTheLightestThatFits) {
  for (const SelectionUnit unit : kUnits) {
    for (const double tau : {0.01, 0.1}) {
      run_unit(unit, {}, tau);
      const auto masses = masses_of(problem_, *source_, output_.trace);
      std::int64_t tails = 0;
      for (std::size_t u = 0; u < masses.size(); ++u) {
        double dropped = 0, heaviest = 0, next = 1e9;
        for (std::size_t b = 0; b < masses[u].largest.size(); ++b) {
          const unsigned fate = output_.trace[u].fate[b];
          if ((fate & kFateVisible) == 0) continue;
          const double mass = masses[u].largest[b];
          if ((fate & kFateTail) != 0) {
            dropped += mass;
            heaviest = std::max(heaviest, mass);
            ++tails;
          } else {
            next = std::min(next, mass);
          }
        }
        EXPECT_LE(dropped, tau + kSlack) << "unit " << u;
        EXPECT_LE(heaviest, next + kSlack) << "unit " << u;
        EXPECT_GT(dropped + next, tau - kSlack) << "unit " << u;
      }
      EXPECT_GT(tails, 0);
    }
  }
}

// The smallest set that holds the wanted share of the candidates' mass.
TEST_P(Chosen, MassBudget) {
  for (const SelectionUnit unit : kUnits) {
    for (const double share : {0.5, 0.9}) {
      run_unit(unit, {Budget::Kind::kMass, share}, 0);
      const auto masses = masses_of(problem_, *source_, before_promotion(output_.trace));
      for (std::size_t u = 0; u < masses.size(); ++u) {
        double total = 0, taken = 0, lightest = 1e9;
        for (std::size_t b = 0; b < masses[u].sum.size(); ++b) {
          const unsigned fate = output_.trace[u].fate[b];
          if (!is_candidate(fate)) continue;
          total += masses[u].sum[b];
          if ((fate & kFatePromotedK) == 0) continue;
          taken += masses[u].sum[b];
          lightest = std::min(lightest, masses[u].sum[b]);
        }
        EXPECT_GE(taken, share * total - kSlack) << "unit " << u;
        if (lightest < 1e9) {
          EXPECT_LT(taken - lightest, share * total + kSlack) << "unit " << u;
        }
      }
    }
  }
}

// Sink, own, partly visible and unsealed blocks are forced, and nothing else is.
TEST_P(Chosen, ForcedBlocks) {
  const Problem problem = make_problem({.head_dim = 32, .sequences = {{400, 1}, {384, 100}}});
  const FilledCache filled = fill_cache(problem);
  for (const bool sink : {false, true}) {
    for (const bool own : {false, true}) {
      RunOptions options;
      options.attend.selection.force_sink = sink;
      options.attend.selection.force_own = own;
      options.attend.selection.unit = SelectionUnit::kToken;
      const Output output = run(problem, filled, options);
      for (const UnitTrace& unit : output.trace) {
        const std::int64_t length = unit.sequence == 0 ? 400 : 384;
        const std::int64_t position = length - problem.q_len(unit.sequence) + unit.first_token;
        for (std::int64_t b = 0; b < static_cast<std::int64_t>(unit.fate.size()); ++b) {
          const bool visible = b * 64 <= position;
          const bool open = (b + 1) * 64 > length;
          const bool forced = visible && (open || (sink && b == 0) || (own && b == position / 64));
          EXPECT_EQ((unit.fate[b] & kFateVisible) != 0, visible);
          EXPECT_EQ((unit.fate[b] & kFateForced) != 0, forced)
              << "block " << b << " at " << position;
        }
      }
    }
  }
}

// The low tier is not the high tier: promotion moves the result towards the exact one.
TEST_P(Chosen, PromotionHelps) {
  const Problem problem = make_problem({.head_dim = 64, .group = 4, .sequences = {{1000, 8}}});
  const FilledCache filled = fill_cache(problem);
  const auto error_at = [&](double budget) {
    RunOptions options;
    options.attend.selection.tau = 0;
    options.attend.selection.budget.kind = Budget::Kind::kAll;
    const Output exact = run(problem, filled, options);
    options.attend.selection.budget = {Budget::Kind::kFraction, budget};
    const Output output = run(problem, filled, options);
    double sum = 0;
    for (std::int64_t i = 0; i < exact.out.size(); ++i) {
      sum += std::pow(output.out.get(i) - exact.out.get(i), 2);
    }
    return sum;
  };
  const double nothing = error_at(0.0);
  EXPECT_GT(nothing, 0);
  EXPECT_LT(error_at(0.2), 0.5 * nothing);
}

THRIFTATTN_FOR_EVERY_ISA(Chosen);

}  // namespace
}  // namespace thriftattn::testing
