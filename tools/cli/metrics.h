// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How far one distribution over the next token is from another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace thriftattn::cli {

// One row of logits, summed up.
struct RowSummary {
  double log_sum_exp = 0;
  std::int32_t top = 0;  // index of the largest logit, the lowest of equal ones
};

// logits: [vocab].
RowSummary summarise(std::span<const float> logits);

// The reference row that several rows are compared with.
class ReferenceRow {
 public:
  // `logits` must outlive the object.
  explicit ReferenceRow(std::span<const float> logits);
  [[nodiscard]] const RowSummary& summary() const { return summary_; }
  // sum p (log p - log q) over the vocabulary, p from the reference, q from `logits`, in nats.
  // Exactly 0 for equal logits.
  [[nodiscard]] double kl(std::span<const float> logits, const RowSummary& other) const;

 private:
  std::span<const float> logits_;
  std::vector<float> p_;  // [vocab], times p_scale_
  double p_scale_ = 1;
  RowSummary summary_;
};

// -log p(token).
inline double nll(std::span<const float> logits, const RowSummary& row, std::int32_t token) {
  return row.log_sum_exp - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

// What an arm gathers over positions.
struct Quality {
  std::vector<double> nll;  // one of each position
  std::vector<double> kl;
  std::int64_t same_top = 0;
};

double mean(std::span<const double> values);  // 0 of nothing
// Linear between the order statistics; 0 of nothing. 0 <= q <= 1.
double quantile(std::span<const double> values, double q);
double median(std::span<const double> values);
// Median of the distances to the median.
double median_deviation(std::span<const double> values);

}  // namespace thriftattn::cli
