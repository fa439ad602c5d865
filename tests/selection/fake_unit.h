// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A selection unit made by hand: the masses of its rows, and which blocks are candidates.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "selection/rank.h"

namespace thriftattn::testing {

struct FakeUnit {
  // masses_by_block[b][r]
  explicit FakeUnit(const std::vector<std::vector<float>>& masses_by_block)
      : candidate(masses_by_block.size(), 1) {
    for (const auto& block : masses_by_block) {
      masses.insert(masses.end(), block.begin(), block.end());
    }
    rows = masses_by_block.empty() ? 0 : static_cast<int>(masses_by_block[0].size());
  }

  [[nodiscard]] selection::UnitView view() const {
    return {.blocks = static_cast<std::int64_t>(candidate.size()),
            .rows = rows,
            .head_dim = head_dim,
            .candidate = candidate.data(),
            .views = views.data(),
            .q = q.data(),
            .masses = masses.data(),
            .mass_stride = rows,
            .seed = seed};
  }

  std::vector<std::uint8_t> candidate;
  std::vector<float> masses;
  std::vector<BlockView> views;
  std::vector<const float*> q;
  int rows = 0;
  int head_dim = 0;
  std::uint64_t seed = 0;
};

}  // namespace thriftattn::testing
