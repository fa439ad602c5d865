// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// KL, NLL and quantiles against double precision and against cases known by hand.
#include "metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace thriftattn::cli {
namespace {

std::vector<float> random_logits(std::size_t n, unsigned seed, float spread) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(generator);
  return logits;
}

double log_sum_exp(const std::vector<float>& logits) {
  double max = -INFINITY;
  for (float z : logits) max = std::max(max, static_cast<double>(z));
  double sum = 0;
  for (float z : logits) sum += std::exp(static_cast<double>(z) - max);
  return max + std::log(sum);
}

double kl(const std::vector<float>& p, const std::vector<float>& q) {
  const double lp = log_sum_exp(p);
  const double lq = log_sum_exp(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = static_cast<double>(p[i]) - lp;
    sum += std::exp(log_p) * (log_p - (static_cast<double>(q[i]) - lq));
  }
  return sum;
}

class Rows : public testing::TestWithParam<std::size_t> {};

TEST_P(Rows, SummaryMatchesDouble) {
  const auto logits = random_logits(GetParam(), 1, 4.0f);
  const RowSummary row = summarise(logits);
  EXPECT_NEAR(row.log_sum_exp, log_sum_exp(logits), 1e-6);
  const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
  EXPECT_EQ(row.top, top);
}

TEST_P(Rows, KlMatchesDouble) {
  const auto p = random_logits(GetParam(), 2, 4.0f);
  for (float step : {1.0f, 1e-1f, 1e-2f}) {
    auto q = p;
    const auto change = random_logits(GetParam(), 3, step);
    for (std::size_t i = 0; i < q.size(); ++i) q[i] += change[i] + 5.0f;  // a shift changes nothing
    const ReferenceRow reference(p);
    const double want = kl(p, q);
    EXPECT_NEAR(reference.kl(q, summarise(q)), want, 2e-6 + 1e-5 * want) << step;
  }
}

TEST_P(Rows, KlOfEqualLogitsIsExactlyZero) {
  const auto p = random_logits(GetParam(), 4, 6.0f);
  const auto q = p;
  EXPECT_EQ(ReferenceRow(p).kl(q, summarise(q)), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Lengths, Rows,
                         testing::Values(1, 2, 15, 16, 17, 1024, 1039, 1040, 1041, 49152, 50001));

TEST(Metrics, KnownDistributions) {
  // p = (1/2, 1/4, 1/4), q = (1/4, 1/2, 1/4): KL = 1/2 log 2 - 1/4 log 2.
  const std::vector<float> p = {std::log(2.0f), 0.0f, 0.0f};
  const std::vector<float> q = {0.0f, std::log(2.0f), 0.0f};
  const RowSummary row = summarise(q);
  EXPECT_NEAR(ReferenceRow(p).kl(q, row), 0.25 * std::log(2.0), 1e-6);
  EXPECT_NEAR(nll(q, row, 1), std::log(2.0), 1e-6);
  EXPECT_NEAR(nll(q, row, 2), std::log(4.0), 1e-6);
}

TEST(Metrics, ImpossibleTokensDoNotHurt) {
  const std::vector<float> p = {0.0f, -500.0f, -INFINITY, 1.0f};
  EXPECT_NEAR(summarise(p).log_sum_exp, std::log(1.0 + std::exp(1.0)), 1e-6);
  EXPECT_EQ(summarise(p).top, 3);
}

TEST(Metrics, TopIsTheFirstOfEqualOnes) {
  std::vector<float> logits(100, 0.0f);
  logits[33] = logits[77] = 2.0f;
  EXPECT_EQ(summarise(logits).top, 33);
}

TEST(Metrics, Quantiles) {
  const std::vector<double> values = {5, 1, 4, 2, 3};
  EXPECT_EQ(mean(values), 3.0);
  EXPECT_EQ(median(values), 3.0);
  EXPECT_EQ(quantile(values, 0.0), 1.0);
  EXPECT_EQ(quantile(values, 1.0), 5.0);
  EXPECT_NEAR(quantile(values, 0.9), 4.6, 1e-12);
  EXPECT_EQ(median_deviation(values), 1.0);
  EXPECT_EQ(mean({}), 0.0);
  EXPECT_EQ(median({}), 0.0);
}

}  // namespace
}  // namespace thriftattn::cli
