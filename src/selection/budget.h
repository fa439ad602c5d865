// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// From ranks to promoted sets, and from masses to the tail.
#pragma once

#include <cstdint>
#include <vector>

#include "selection/rank.h"
#include "thriftattn/selection.h"

namespace thriftattn::selection {

// Candidates with K promoted (`k`), the best of them first, and how many of these have V promoted
// too.
struct PromotedSet {
  std::vector<std::int32_t> k;
  std::int64_t v_count = 0;
};

// Blocks promoted out of n candidates.
struct Counts {
  std::int64_t k = 0;
  std::int64_t v = 0;
};
// Of kFraction, kCount and kAll; kMass depends on the masses.
Counts promoted_counts(const Budget& budget, std::int64_t candidates);

// Chooses by rank, ties to the lower index. unit.masses is read for kMass only.
PromotedSet choose(const Budget& budget, const UnitView& unit, const std::vector<double>& rank);

// Blocks marked in unit.candidate (here: all visible ones) in order of increasing mass (the largest
// over the unit's rows) while their masses add up to at most tau; ties to the lower index. Rows
// without finite masses do not count; with none left there is no tail.
std::vector<std::int32_t> choose_tail(double tau, const UnitView& unit);

}  // namespace thriftattn::selection
