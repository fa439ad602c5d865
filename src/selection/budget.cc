// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "selection/budget.h"

#include <algorithm>
#include <cmath>

namespace thriftattn::selection {
namespace {

std::int64_t share_of(double share, std::int64_t n) {
  // 1e-9: 0.05 * 1.6 * 100 is 8, not 8.000000000000001 and so 9.
  const double blocks = std::ceil(share * static_cast<double>(n) - 1e-9);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(blocks), 0, n);
}

std::int64_t count_candidates(const UnitView& unit) {
  return std::count_if(unit.candidate, unit.candidate + unit.blocks,
                       [](std::uint8_t c) { return c != 0; });
}

// The smallest prefix of `order` that holds the wanted share of the candidates' mass.
std::int64_t prefix_of_mass(double share, const UnitView& unit,
                            const std::vector<std::int32_t>& order) {
  std::vector<double> mass;
  rank_blocks(Policy::kFp4Mass, unit, mass);
  double total = 0;
  for (const std::int32_t b : order) total += mass[b];
  double sum = 0;
  std::int64_t count = 0;
  while (count < static_cast<std::int64_t>(order.size()) && sum < share * total) {
    sum += mass[order[count++]];
  }
  return count;
}

}  // namespace

Counts promoted_counts(const Budget& budget, std::int64_t candidates) {
  const double n = static_cast<double>(candidates);
  switch (budget.kind) {
    case Budget::Kind::kAll:
      return {candidates, candidates};
    case Budget::Kind::kFraction: {
      const std::int64_t k = share_of(budget.k_share * budget.value, candidates);
      return {k, std::min(k, share_of(budget.v_share * budget.value, candidates))};
    }
    case Budget::Kind::kCount: {
      const double wanted = n > 0 ? budget.value / n : 0.0;
      const std::int64_t k = share_of(budget.k_share * wanted, candidates);
      return {k, std::min(k, share_of(budget.v_share * wanted, candidates))};
    }
    case Budget::Kind::kMass:
      break;
  }
  return {};
}

PromotedSet choose(const Budget& budget, const UnitView& unit, const std::vector<double>& rank) {
  std::vector<std::int32_t> order;
  for (std::int64_t b = 0; b < unit.blocks; ++b) {
    if (unit.candidate[b]) order.push_back(static_cast<std::int32_t>(b));
  }
  const auto better = [&](std::int32_t a, std::int32_t b) {
    return rank[a] != rank[b] ? rank[a] > rank[b] : a < b;
  };
  Counts counts;
  if (budget.kind == Budget::Kind::kMass) {
    std::sort(order.begin(), order.end(), better);
    counts.k = counts.v = prefix_of_mass(budget.value, unit, order);
  } else {
    counts = promoted_counts(budget, count_candidates(unit));
    std::partial_sort(order.begin(), order.begin() + counts.k, order.end(), better);
  }
  order.resize(counts.k);
  return {std::move(order), counts.v};
}

std::vector<std::int32_t> choose_tail(double tau, const UnitView& unit) {
  struct Weight {
    float mass;
    std::int32_t block;
  };
  std::vector<Weight> weights;
  bool any_row = false;
  for (std::int64_t b = 0; b < unit.blocks; ++b) {
    if (!unit.candidate[b]) continue;
    const float* mass = unit.masses + b * unit.mass_stride;
    float largest = 0;
    for (int r = 0; r < unit.rows; ++r) {
      if (!std::isfinite(mass[r])) continue;
      any_row = true;
      largest = std::max(largest, mass[r]);
    }
    weights.push_back({largest, static_cast<std::int32_t>(b)});
  }
  if (!any_row || tau <= 0) return {};
  std::sort(weights.begin(), weights.end(), [](const Weight& a, const Weight& b) {
    return a.mass != b.mass ? a.mass < b.mass : a.block < b.block;
  });
  std::vector<std::int32_t> tail;
  double sum = 0;
  for (const Weight& w : weights) {
    sum += w.mass;
    if (sum > tau) break;
    tail.push_back(w.block);
  }
  return tail;
}

}  // namespace thriftattn::selection
