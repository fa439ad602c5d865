// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "support/bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace thriftattn::testing {
namespace {

constexpr double kUnit = 0x1p-24;
constexpr double kExpError = 0x1p-23;
constexpr double kUnderflow = 0x1p-124;

double gamma(double n) { return n * kUnit / (1 - n * kUnit); }

// D_j of the keys, in order.
std::vector<double> weight_errors(const oracle::Row& row, int head_dim, double maximum) {
  std::vector<double> errors;
  for (const oracle::Key& key : row.keys) {
    const double score = gamma(key.k_dots * head_dim + 5) * key.score_abs;
    errors.push_back(
        std::expm1(score + 2 * kUnit * (maximum - key.score) + 2 * kExpError + 4 * kUnit));
  }
  return errors;
}

// What rounding P to NVFP4 adds to the errors of the keys: keys of a block follow each other, and a
// group of 16 is what shares slot / 16.
void add_quantisation(const oracle::Row& row, double maximum, std::vector<double>& errors) {
  for (std::size_t begin = 0, end = 0; begin < row.keys.size(); begin = end) {
    const std::int64_t block = row.keys[begin].block;
    double block_norm = 0;
    double amax[kBlockTokens / kScaleGroup] = {};
    for (end = begin; end < row.keys.size() && row.keys[end].block == block; ++end) {
      const oracle::Key& key = row.keys[end];
      double& group = amax[key.slot / kScaleGroup];
      group = std::max(group, std::exp(key.score - maximum) * key.v_norm);
      block_norm = std::max(block_norm, key.v_norm);
    }
    for (std::size_t j = begin; j < end; ++j) {
      const oracle::Key& key = row.keys[j];
      const double weight = std::exp(key.score - maximum);
      if (key.v_norm == 0 || weight == 0) continue;  // P that meets the high tier is not rounded
      const double step = std::max(0.18 * amax[key.slot / kScaleGroup], block_norm * 0x1p-6 / 2688);
      errors[j] += step / key.v_norm / weight;
    }
  }
}

}  // namespace

double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return kUnit;
    case DType::kF16:
      return 0x1p-11;
    case DType::kBF16:
      return 0x1p-8;
  }
  return 0;
}

RowBound row_bound(const oracle::Row& row, const Arithmetic& arithmetic) {
  RowBound bound;
  bound.out.assign(row.out.size(), 0.0);
  if (row.keys.empty()) return bound;
  const auto keys = static_cast<double>(row.keys.size());
  const double split_keys = std::min(keys, 1.0 * kBlockTokens * arithmetic.split_blocks);
  const double splits = std::ceil(static_cast<double>(row.masses.size()) / arithmetic.split_blocks);
  int v_dots = 1;
  for (const oracle::Key& key : row.keys) v_dots = std::max(v_dots, key.v_dots);
  const double sum_v = gamma(v_dots * split_keys + splits + 2);
  const double sum_l = gamma(8 + arithmetic.split_blocks + splits + 2);
  double maximum = row.keys.front().score;
  for (const oracle::Key& key : row.keys) maximum = std::max(maximum, key.score);
  std::vector<double> errors = weight_errors(row, arithmetic.head_dim, maximum);

  // Relative errors of the sum of all visible weights, and of those outside the tail.
  double everything = gamma(10 + static_cast<double>(row.masses.size()));
  for (std::size_t j = 0; j < row.keys.size(); ++j) everything += row.weights[j] * errors[j];
  if (arithmetic.quantised_weights) add_quantisation(row, maximum, errors);
  double used_error = 0;
  for (std::size_t j = 0; j < row.keys.size(); ++j) {
    if (row.keys[j].tail) continue;
    used_error += row.weights[j] * (errors[j] + sum_l * (1 + errors[j]));
  }
  const double used = 1 - row.mass_tail;
  const double infinity = std::numeric_limits<double>::infinity();
  bound.lse = everything < 1
                  ? -std::log1p(-everything) +
                        4 * kUnit * (std::fabs(maximum) + std::fabs(row.lse - maximum) + 1)
                  : infinity;
  const double quotient = 1 - used_error / used;
  const double rounding = unit_roundoff(arithmetic.out);
  for (std::size_t d = 0; d < row.out.size(); ++d) {
    const double out = row.out[d];
    double error = 0;
    double largest = 0;
    for (std::size_t j = 0; j < row.keys.size(); ++j) {
      if (row.keys[j].tail) continue;
      const double v = row.keys[j].v[d];
      const double v_abs = row.keys[j].v_abs[d];
      largest = std::max(largest, v_abs);
      error += row.weights[j] / used *
               (errors[j] * std::fabs(v - out) +
                (1 + errors[j]) * (sum_v * v_abs + sum_l * std::fabs(out)));
    }
    const double exact = quotient > 0 ? error / quotient : infinity;
    // The smallest step of half is 2^-24; below 2^-14 its rounding error is absolute.
    const double smallest = arithmetic.out == DType::kF16 ? 0x1p-25 : 0.0;
    bound.out[d] = exact + keys * kUnderflow * largest + smallest +
                   (rounding + 2 * kUnit) * (std::fabs(out) + exact);
  }
  return bound;
}

}  // namespace thriftattn::testing
