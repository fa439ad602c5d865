// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How much each candidate block of a unit is worth, by policy.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "thriftattn/kv_source.h"
#include "thriftattn/selection.h"

namespace thriftattn::selection {

// One unit's view of the blocks 0 .. blocks - 1 of its sequence.
struct UnitView {
  std::int64_t blocks = 0;
  int rows = 0;
  int head_dim = 0;
  const std::uint8_t* candidate = nullptr;  // [blocks], nonzero where the budget may promote
  const BlockView* views = nullptr;         // [blocks], summaries valid where candidate
  const float* const* q = nullptr;          // [rows] pointers to [head_dim], softmax scale applied
  // Row r's softmax mass of block b is masses[b * mass_stride + r]; only for policies that
  // need_masses().
  const float* masses = nullptr;
  std::int64_t mass_stride = 0;
  std::uint64_t seed = 0;  // Policy::kRandom: already mixed with the unit's identity
};

// Whether the policy or the budget ranks by masses of the low tier.
bool need_masses(const Selection& selection);

// Higher is better; 0 for blocks that are no candidates. Rows whose values are not finite do not
// count.
void rank_blocks(Policy policy, const UnitView& unit, std::vector<double>& rank);

}  // namespace thriftattn::selection
