// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How a layer's softmax mass lies over its blocks, and how fast that changes from step to step.
#pragma once

#include <span>
#include <vector>

namespace thriftattn::cli {

// Means over kv heads and steps. Shares are of a unit's blocks, masses of a row's softmax.
struct MassProfile {
  double sink = 0;      // mass of the first block
  double own = 0;       // mass of the row's own block
  double share_50 = 0;  // the fewest blocks that hold this much of the mass
  double share_90 = 0;
  double share_99 = 0;
  double share_999 = 0;
  double tail = 0;        // the most blocks that hold 1 % of every row's mass
  double turnover_1 = 0;  // of the heaviest 5 % (sink and own apart), after one step
  double turnover_8 = 0;  // after eight
};

// The profile of masses [steps][blocks] of one unit's rows: the mean over the rows, and the
// largest. The last block of each step is the own one. Steps may differ in their number of blocks.
struct UnitMasses {
  std::vector<std::vector<double>> mean;
  std::vector<std::vector<double>> largest;
};
MassProfile profile_of(const UnitMasses& unit);

MassProfile mean_of(std::span<const MassProfile> profiles);

}  // namespace thriftattn::cli
