// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "selection/rank.h"

#include <cmath>

#include "numeric/half.h"
#include "numeric/magnitude.h"

namespace thriftattn::selection {
namespace {

void rank_by_mass(const UnitView& unit, std::vector<double>& rank) {
  for (std::int64_t b = 0; b < unit.blocks; ++b) {
    if (!unit.candidate[b]) continue;
    const float* mass = unit.masses + b * unit.mass_stride;
    for (int r = 0; r < unit.rows; ++r) {
      if (std::isfinite(mass[r])) rank[b] += mass[r];
    }
  }
}

// Sum over rows of q . mean = (sum of q) . mean.
void rank_by_mean(const UnitView& unit, std::vector<double>& rank) {
  std::vector<double> q_sum(unit.head_dim, 0.0);
  for (int r = 0; r < unit.rows; ++r) {
    if (!numeric::all_finite(unit.q[r], unit.head_dim)) continue;
    for (int d = 0; d < unit.head_dim; ++d) q_sum[d] += unit.q[r][d];
  }
  for (std::int64_t b = 0; b < unit.blocks; ++b) {
    if (!unit.candidate[b]) continue;
    const half_t* mean = unit.views[b].summary.block_mean;
    for (int d = 0; d < unit.head_dim; ++d) {
      rank[b] += q_sum[d] * static_cast<double>(numeric::half_to_float(mean[d]));
    }
  }
}

// Quest (arXiv 2406.10774): q . k <= sum over channels of max(q min, q max).
void rank_by_bound(const UnitView& unit, std::vector<double>& rank) {
  for (int r = 0; r < unit.rows; ++r) {
    const float* q = unit.q[r];
    if (!numeric::all_finite(q, unit.head_dim)) continue;
    for (std::int64_t b = 0; b < unit.blocks; ++b) {
      if (!unit.candidate[b]) continue;
      const BlockSummary& s = unit.views[b].summary;
      for (int d = 0; d < unit.head_dim; ++d) {
        const double extreme = q[d] >= 0 ? s.max_k_channel[d] : s.min_k[d];
        rank[b] += q[d] * extreme;
      }
    }
  }
}

// SplitMix64 (Steele, Lea, Flood 2014): one well-mixed number for each counter.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

bool need_masses(const Selection& selection) {
  if (selection.budget.kind == Budget::Kind::kAll) return false;
  return selection.policy == Policy::kFp4Mass || selection.budget.kind == Budget::Kind::kMass;
}

void rank_blocks(Policy policy, const UnitView& unit, std::vector<double>& rank) {
  rank.assign(unit.blocks, 0.0);
  switch (policy) {
    case Policy::kFp4Mass:
      return rank_by_mass(unit, rank);
    case Policy::kBlockMean:
      return rank_by_mean(unit, rank);
    case Policy::kQuest:
      return rank_by_bound(unit, rank);
    case Policy::kLocal:
      for (std::int64_t b = 0; b < unit.blocks; ++b) rank[b] = static_cast<double>(b);
      return;
    case Policy::kRandom:
      for (std::int64_t b = 0; b < unit.blocks; ++b) {
        rank[b] = static_cast<double>(mix(unit.seed ^ static_cast<std::uint64_t>(b)) >> 11);
      }
      return;
  }
}

}  // namespace thriftattn::selection
