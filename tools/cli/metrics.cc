// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace thriftattn::cli {
namespace {

// Independent accumulators, so that the compiler may vectorise sums without reordering any.
constexpr std::size_t kLanes = 16;
constexpr std::size_t kChunk = 1024;  // floats summed before they enter a double

// e^x for x <= 0, relative error below 3e-7; 0 below -87.
inline float exp_negative(float x) {
  constexpr float kLog2e = 1.44269504f;
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  const float clamped = x < -87.0f ? -87.0f : x;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0f;
  const float shifted = clamped * kLog2e + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float poly = 1.9875691500e-4f;
  poly = poly * r + 1.3981999507e-3f;
  poly = poly * r + 8.3334519073e-3f;
  poly = poly * r + 4.1665795894e-2f;
  poly = poly * r + 1.6666665459e-1f;
  poly = poly * r + 5.0000001201e-1f;
  poly = poly * r * r + r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;
  const float result = poly * std::bit_cast<float>(exponent);
  return x < -87.0f ? 0.0f : result;
}

// sum of term(i) over [0, n): float lanes inside a chunk, doubles across chunks.
template <class Term>
double lane_sum(std::size_t n, const Term& term) {
  double total = 0;
  std::size_t begin = 0;
  for (; begin + kLanes <= n; begin += kChunk) {
    const std::size_t end = std::min(begin + kChunk, n / kLanes * kLanes);
    float lanes[kLanes] = {};
    for (std::size_t i = begin; i < end; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
    }
    for (float lane : lanes) total += static_cast<double>(lane);
  }
  for (std::size_t i = n / kLanes * kLanes; i < n; ++i) total += static_cast<double>(term(i));
  return total;
}

float row_max(std::span<const float> logits) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, logits[0]);
  const std::size_t whole = logits.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
    }
  }
  float result = *std::max_element(lanes, lanes + kLanes);
  for (std::size_t i = whole; i < logits.size(); ++i) result = std::max(result, logits[i]);
  return result;
}

RowSummary summarise_from(std::span<const float> logits, float max, double sum) {
  const auto top = std::find(logits.begin(), logits.end(), max) - logits.begin();
  return {static_cast<double>(max) + std::log(sum), static_cast<std::int32_t>(top)};
}

}  // namespace

RowSummary summarise(std::span<const float> logits) {
  const float max = row_max(logits);
  const float* z = logits.data();
  const double sum =
      lane_sum(logits.size(), [=](std::size_t i) { return exp_negative(z[i] - max); });
  return summarise_from(logits, max, sum);
}

ReferenceRow::ReferenceRow(std::span<const float> logits) : logits_(logits), p_(logits.size()) {
  const float max = row_max(logits);
  for (std::size_t i = 0; i < p_.size(); ++i) p_[i] = exp_negative(logits[i] - max);
  const float* p = p_.data();
  const double sum = lane_sum(p_.size(), [=](std::size_t i) { return p[i]; });
  p_scale_ = 1.0 / sum;
  summary_ = summarise_from(logits, max, sum);
}

double ReferenceRow::kl(std::span<const float> logits, const RowSummary& other) const {
  // The difference of close logits is exact in float, so subtract those first.
  const auto shift = static_cast<float>(summary_.log_sum_exp - other.log_sum_exp);
  const float* p = p_.data();
  const float* z = logits_.data();
  const float* y = logits.data();
  const double sum =
      lane_sum(p_.size(), [=](std::size_t i) { return p[i] * ((z[i] - y[i]) - shift); });
  return sum * p_scale_;
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double quantile(std::span<const double> values, double q) {
  if (values.empty()) return 0.0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  const double weight = place - static_cast<double>(low);
  return sorted[low] + weight * (sorted[high] - sorted[low]);
}

double median(std::span<const double> values) { return quantile(values, 0.5); }

double median_deviation(std::span<const double> values) {
  const double centre = median(values);
  std::vector<double> distances(values.begin(), values.end());
  for (double& distance : distances) distance = std::abs(distance - centre);
  return median(distances);
}

}  // namespace thriftattn::cli
