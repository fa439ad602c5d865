// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "support/w4a4.h"

#include <algorithm>
#include <cmath>

#include "numeric/nvfp4.h"

namespace thriftattn::testing {
namespace {

bool is_tile(const Problem& problem, const AttendOptions& options, int sequence) {
  const SelectionUnit unit = options.selection.unit;
  if (unit == SelectionUnit::kAuto) return problem.q_len(sequence) > 16;
  return unit == SelectionUnit::kTile;
}

std::vector<float> mean_of(const std::vector<std::vector<float>>& rows) {
  std::vector<float> mean(rows.front().size(), 0.0f);
  for (const std::vector<float>& row : rows) {
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += row[d];
  }
  for (float& m : mean) m /= static_cast<float>(rows.size());
  return mean;
}

void quantise(std::vector<float>& row, const std::vector<float>& mean, ScaleRule rule) {
  float amax = 0;
  for (std::size_t d = 0; d < row.size(); ++d) {
    row[d] -= mean[d];
    amax = std::max(amax, std::fabs(row[d]));
  }
  const int exponent = numeric::scale_exponent(amax, rule);
  numeric::fake_quantize(row.data(), static_cast<int>(row.size()), rule, exponent, row.data());
  for (std::size_t d = 0; d < row.size(); ++d) row[d] += mean[d];
}

}  // namespace

std::vector<double> quantised_q(const Problem& problem, const AttendOptions& options,
                                const AttendTrace& trace) {
  const int head_dim = problem.shape.head_dim;
  const auto scale = static_cast<float>(effective_scale(problem, options));
  std::vector<double> result(static_cast<std::size_t>(problem.q.size()));
  for (const UnitTrace& unit : trace) {
    std::vector<std::int64_t> first;
    std::vector<std::vector<float>> rows;
    for (std::int64_t i = 0; i < unit.tokens * unit.q_heads; ++i) {
      const std::int64_t token =
          problem.q_offsets[unit.sequence] + unit.first_token + i / unit.q_heads;
      const std::int64_t head = unit.first_q_head + i % unit.q_heads;
      first.push_back((token * problem.q.heads + head) * head_dim);
      std::vector<float> row;
      for (int d = 0; d < head_dim; ++d) {
        row.push_back(static_cast<float>(problem.q.get(first.back() + d)) * scale);
      }
      rows.push_back(row);
    }
    std::vector<float> mean(static_cast<std::size_t>(head_dim), 0.0f);
    if (is_tile(problem, options, unit.sequence) && options.numerics.centre_k) mean = mean_of(rows);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      quantise(rows[r], mean, options.numerics.scale_rule);
      for (int d = 0; d < head_dim; ++d) {
        result[first[r] + d] = rows[r][d] / static_cast<double>(scale);
      }
    }
  }
  return result;
}

}  // namespace thriftattn::testing
