// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace thriftattn::testing {
namespace {

constexpr double kStep = 0x1p-22;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What is the same for all keys of a row.
struct RowFacts {
  double maximum = -kInfinity;  // score
  double argument = 0;          // X of the header, natural units
  double largest_norm = 1;      // 2^g
};

RowFacts facts_of(const oracle::Row& row) {
  RowFacts facts;
  for (const oracle::Key& key : row.keys) {
    facts.maximum = std::max(facts.maximum, key.score);
    facts.argument = std::max(facts.argument, key.score_abs);
    facts.largest_norm = std::max({facts.largest_norm, key.v_norm, key.nested_norm});
  }
  // The reference lies between the largest score and zero weights: 40 covers shifts and exponents.
  facts.argument = 2 * facts.argument + std::fabs(facts.maximum) + 40;
  return facts;
}

}  // namespace

RowBound device_row_bound(const oracle::Row& row, const Arithmetic& arithmetic) {
  RowBound bound;
  bound.out.assign(row.out.size(), 0.0);
  if (row.keys.empty()) return bound;
  const RowFacts facts = facts_of(row);
  const double steps = 2.0 * arithmetic.head_dim / 16;
  const double keys = static_cast<double>(row.keys.size());
  const double sums = kStep * (2 * keys / 16 + 256);
  const double to_weights = std::exp(facts.maximum - row.lse);

  // Error of each weight: relative part times weight, plus what underflow takes.
  std::vector<double> errors(row.keys.size());
  double everything = sums;
  double used = 0;
  double used_error = 0;
  for (std::size_t j = 0; j < row.keys.size(); ++j) {
    const oracle::Key& key = row.keys[j];
    const double score =
        kStep * (key.k_dots * steps + 4) * key.score_abs + 2 * kStep * facts.argument;
    const double relative = std::expm1(score) + 0x1p-11 + 0x1p-20;
    const double norm = std::max(key.v_norm, key.nested_norm);  // one of them is 0
    const double lost = norm == 0 ? 0x1p-20 : 0x1p-34 / norm;
    errors[j] = relative * row.weights[j] + lost * facts.largest_norm * to_weights;
    everything += errors[j];
    if (key.tail) continue;
    used += row.weights[j];
    used_error += errors[j] + sums * row.weights[j];
  }
  bound.lse = everything < 1 ? -std::log1p(-everything) +
                                   2 * kStep * (std::fabs(facts.maximum) + std::fabs(row.lse) + 1)
                             : kInfinity;
  const double quotient = 1 - used_error / used;
  const double rounding = unit_roundoff(arithmetic.out) + 4 * kStep;
  const double smallest = arithmetic.out == DType::kF16 ? 0x1p-25 : 0.0;
  for (std::size_t d = 0; d < row.out.size(); ++d) {
    double error = 0;
    for (std::size_t j = 0; j < row.keys.size(); ++j) {
      const oracle::Key& key = row.keys[j];
      if (key.tail) continue;
      error += errors[j] * std::fabs(key.v[d] - row.out[d]) +
               sums * (row.weights[j] + errors[j]) * (key.v_abs[d] + std::fabs(row.out[d]));
      if (key.nested_norm == 0) continue;
      error += 0x1p-33 / key.nested_norm * facts.largest_norm * to_weights * key.v_abs[d];
    }
    const double exact = quotient > 0 ? error / used / quotient : kInfinity;
    bound.out[d] = exact + smallest + rounding * (std::fabs(row.out[d]) + exact);
  }
  return bound;
}

}  // namespace thriftattn::testing
