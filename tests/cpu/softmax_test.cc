// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// block_softmax, block_weights and the exp inside them.
#include <algorithm>
#include <array>

#include "every_isa.h"

namespace thriftattn::test {
namespace {

using Scores = std::array<float, kBlockTokens>;

struct Weights {
  std::vector<float> p;
  float sum;
};

Weights weights(const KernelTable& kernels, const Scores& scores, float maximum) {
  std::vector<float> p(kBlockTokens + 1, 7.0f);  // one more that must stay
  const float sum = kernels.block_weights(scores.data(), maximum, p.data());
  return {p, sum};
}

struct Rows {
  std::vector<float> maximum;
  std::vector<float> sum;
};

Rows softmax(const KernelTable& kernels, const std::vector<Scores>& scores) {
  std::vector<const float*> pointers;
  for (const Scores& row : scores) pointers.push_back(row.data());
  std::vector<float> maximum(scores.size() + 1, 7.0f);
  std::vector<float> sum(scores.size() + 1, 7.0f);
  kernels.block_softmax(pointers.data(), static_cast<int>(scores.size()), maximum.data(),
                        sum.data());
  return {maximum, sum};
}

std::vector<Scores> random_rows(Random& random, int rows, float deviation) {
  std::vector<Scores> scores(rows);
  for (Scores& row : scores) {
    for (float& x : row) x = random.normal(deviation);
  }
  return scores;
}

// Where masked scores, NaN, infinities, zeros of both signs and the edge of exp meet.
std::vector<Scores> edge_rows() {
  std::vector<Scores> scores(12);
  for (Scores& row : scores) row.fill(-kInfinity);
  scores[1][17] = 3.0f;   // a single visible score
  scores[2].fill(0.0f);   // equal scores
  scores[3].fill(-0.0f);  // a maximum of -0 is reported as +0
  for (int i = 0; i < 64; i += 3) scores[4][i] = i % 2 == 0 ? 0.0f : -0.0f;
  scores[5][63] = kNan;  // NaN in the last place, all else masked
  scores[6].fill(1.0f);
  scores[6][0] = kNan;
  scores[7].fill(1.0f);
  scores[7][5] = kInfinity;
  scores[8].fill(-3e38f);  // differences overflow
  scores[8][40] = 3e38f;
  for (int i = 0; i < 64; ++i) scores[9][i] = -87.0f + static_cast<float>(i - 32) * 0x1p-17f;
  scores[9][0] = 0.0f;
  for (int i = 0; i < 64; ++i) scores[10][i] = -static_cast<float>(i) * 2.0f;
  scores[11].fill(-1e30f);  // a soft mask
  return scores;
}

class Softmax : public EveryIsa {};
THRIFTATTN_FOR_EVERY_ISA(Softmax);

TEST_P(Softmax, SameBitsAsScalar) {
  Random random(1);
  for (int rows = 0; rows <= 65; ++rows) {
    const std::vector<Scores> scores =
        random_rows(random, rows, std::ldexp(1.0f, random.below(8) - 2));
    const Rows got = softmax(*kernels, scores);
    const Rows want = softmax(*scalar, scores);
    ASSERT_TRUE(same_bits(got.maximum, want.maximum)) << rows;
    ASSERT_TRUE(same_bits(got.sum, want.sum)) << rows;
    for (const Scores& row : scores) {
      const float maximum =
          *std::max_element(row.begin(), row.end()) + (random.below(2) == 0 ? 0.0f : 0.7f);
      const Weights got_p = weights(*kernels, row, maximum);
      const Weights want_p = weights(*scalar, row, maximum);
      ASSERT_TRUE(same_bits(got_p.p, want_p.p));
      ASSERT_TRUE(same_bits(got_p.sum, want_p.sum));
    }
  }
}

TEST_P(Softmax, EdgesSameBitsAsScalar) {
  const std::vector<Scores> scores = edge_rows();
  const Rows got = softmax(*kernels, scores);
  const Rows want = softmax(*scalar, scores);
  EXPECT_TRUE(same_bits(got.maximum, want.maximum));
  EXPECT_TRUE(same_bits(got.sum, want.sum));
  for (std::size_t row = 0; row < scores.size(); ++row) {
    for (const float maximum : {want.maximum[row], 5.0f, -kInfinity}) {
      const Weights got_p = weights(*kernels, scores[row], maximum);
      const Weights want_p = weights(*scalar, scores[row], maximum);
      // A maximum below a score breaks the contract; all but that is defined.
      const bool defined = std::all_of(scores[row].begin(), scores[row].end(),
                                       [&](float x) { return !(x > maximum); });
      if (!defined) continue;
      EXPECT_TRUE(same_bits(got_p.p, want_p.p)) << row << ", maximum " << maximum;
      EXPECT_TRUE(same_bits(got_p.sum, want_p.sum)) << row << ", maximum " << maximum;
    }
  }
}

TEST_P(Softmax, Edges) {
  const std::vector<Scores> scores = edge_rows();
  const Rows rows = softmax(*kernels, scores);
  const auto expect_row = [&](int row, float maximum, float sum) {
    EXPECT_TRUE(same_bits(rows.maximum[row], maximum)) << row << ": " << rows.maximum[row];
    EXPECT_TRUE(same_bits(rows.sum[row], sum)) << row << ": " << rows.sum[row];
  };
  expect_row(0, -kInfinity, 0.0f);
  expect_row(1, 3.0f, 1.0f);
  expect_row(2, 0.0f, 64.0f);
  expect_row(3, 0.0f, 64.0f);
  expect_row(4, 0.0f, 22.0f);
  expect_row(5, kNan, kNan);
  expect_row(6, kNan, kNan);
  expect_row(7, kNan, kNan);
  expect_row(8, 3e38f, 1.0f);
  expect_row(11, -1e30f, 64.0f);
  EXPECT_EQ(rows.maximum.back(), 7.0f);  // written no further than asked
  EXPECT_EQ(rows.sum.back(), 7.0f);

  const Weights masked = weights(*kernels, scores[0], -kInfinity);
  EXPECT_EQ(masked.sum, 0.0f);
  for (int i = 0; i < kBlockTokens; ++i) EXPECT_TRUE(same_bits(masked.p[i], 0.0f));
}

// Weights over `xs`, 64 at a time, with a maximum of 0: exp of each.
std::vector<float> exp_of(const KernelTable& kernels, const std::vector<float>& xs) {
  std::vector<float> result;
  for (std::size_t first = 0; first < xs.size(); first += kBlockTokens) {
    Scores scores = {};
    const std::size_t count = std::min<std::size_t>(kBlockTokens, xs.size() - first);
    std::copy_n(xs.begin() + static_cast<std::ptrdiff_t>(first), count, scores.begin());
    const Weights block = weights(kernels, scores, 0.0f);
    result.insert(result.end(), block.p.begin(),
                  block.p.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return result;
}

// From -87 to -2^-30 in steps of 0.002 % and less, and what lies beside -87, 0 and the midpoints of
// the reduction.
std::vector<float> exp_arguments() {
  const auto lowest = std::bit_cast<std::uint32_t>(87.0f);
  std::vector<float> xs = {0.0f, -0.0f, -0x1p-149f, -0x1p-126f};
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(0x1p-30f); bits <= lowest; bits += 1009) {
    xs.push_back(-std::bit_cast<float>(bits));
  }
  for (int n = 0; n <= 125; ++n) {
    const float middle = static_cast<float>((n + 0.5) * std::log(2.0));
    for (int step = -20; step <= 20; ++step) {
      xs.push_back(-std::bit_cast<float>(std::bit_cast<std::uint32_t>(middle) + step));
    }
  }
  for (std::uint32_t bits = lowest - 100; bits <= lowest; ++bits) {
    xs.push_back(-std::bit_cast<float>(bits));
  }
  return xs;
}

// An ulp is that of the binade of the true value.
TEST_P(Softmax, ExpWithinOneUlp) {
  const std::vector<float> xs = exp_arguments();
  const std::vector<float> got = exp_of(*kernels, xs);
  double worst = 0;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double want = std::exp(double{xs[i]});
    const double ulp = std::ldexp(1.0, std::ilogb(want) - 23);
    worst = std::max(worst, std::fabs(got[i] - want) / ulp);
    ASSERT_LE(std::fabs(got[i] - want), ulp) << xs[i];
  }
  RecordProperty("worst_ulp", std::to_string(worst));
  EXPECT_TRUE(same_bits(got, exp_of(*scalar, xs)));
}

TEST_P(Softmax, ExpBelowItsRange) {
  const float below = std::nextafter(-87.0f, -kInfinity);
  for (const float x : {below, -88.0f, -104.0f, -1e10f, -3e38f, -kInfinity}) {
    EXPECT_TRUE(same_bits(exp_of(*kernels, {x})[0], 0.0f)) << x;
  }
  EXPECT_GT(exp_of(*kernels, {-87.0f})[0], 0x1p-126f);  // normal
  EXPECT_TRUE(same_bits(exp_of(*kernels, {0.0f})[0], 1.0f));
  EXPECT_TRUE(std::isnan(exp_of(*kernels, {kNan})[0]));
}

// Four additions to a partial sum and four halvings, 2^-24 each, and 2^-23 (one ulp) of every
// weight.
TEST_P(Softmax, SumWithinItsBound) {
  Random random(2);
  const std::vector<Scores> scores = random_rows(random, 64, 6.0f);
  const Rows rows = softmax(*kernels, scores);
  for (std::size_t row = 0; row < scores.size(); ++row) {
    const float maximum = *std::max_element(scores[row].begin(), scores[row].end());
    ASSERT_EQ(rows.maximum[row], maximum);
    double want = 0;
    for (const float x : scores[row]) want += std::exp(double{x - maximum});
    ASSERT_NEAR(rows.sum[row], want, want * 10.001 * 0x1p-24);
    ASSERT_EQ(weights(*kernels, scores[row], maximum).sum, rows.sum[row]);
  }
}

}  // namespace
}  // namespace thriftattn::test
