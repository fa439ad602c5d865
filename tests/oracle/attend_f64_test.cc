// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The oracle on problems that have an answer on paper.
#include "oracle/attend_f64.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/custom_source.h"
#include "support/run.h"

namespace thriftattn {
namespace {

using testing::CustomSource;
using testing::make_problem;
using testing::Problem;
using testing::RowFormat;

TEST(AttendF64, TwoKeysByHand) {
  // Scores 0 and ln 3, values 1 and 5: weights 1/4 and 3/4, out 4, lse ln 4.
  std::vector<double> q(32, 0.0), k(64, 0.0), v(64, 1.0);
  q[0] = std::log(3.0);
  k[32] = 2.0;
  std::fill(v.begin() + 32, v.end(), 5.0);
  int rows = 0;
  oracle::attend_f64_original(
      {.q = q, .k = k, .v = v, .q_heads = 1, .kv_heads = 1, .head_dim = 32, .softmax_scale = 0.5},
      [&](const oracle::Row& row) {
        ++rows;
        EXPECT_NEAR(row.out[7], 4.0, 1e-14);
        EXPECT_NEAR(row.lse, std::log(4.0), 1e-14);
        EXPECT_NEAR(row.masses[0], 1.0, 1e-14);
      });
  EXPECT_EQ(rows, 1);
}

// Everything forced: the definition over stored operands is plain attention, two ways to index the
// same data.
TEST(AttendF64, AllForcedIsPlainAttention) {
  const Problem problem =
      make_problem({.head_dim = 32, .kv_heads = 2, .group = 3, .sequences = {{150, 70}}});
  const CustomSource source(problem, RowFormat::kHalf);
  AttendTrace trace;
  for (int h = 0; h < 2; ++h) {
    trace.push_back({.sequence = 0,
                     .kv_head = h,
                     .first_q_head = 3 * h,
                     .q_heads = 3,
                     .first_token = 0,
                     .tokens = 70,
                     .fate = std::vector<std::uint8_t>(3, kFateVisible | kFateForced)});
  }
  const std::vector<double> q = problem.q.values();
  std::map<std::pair<std::int64_t, int>, std::vector<double>> blocked;
  oracle::attend_f64(testing::oracle_problem(problem, source, q, {}), trace,
                     [&](const oracle::Row& row) {
                       blocked[{row.token, row.q_head}] = row.out;
                     });
  const std::vector<double> k = problem.k[0].values();
  const std::vector<double> v = problem.v[0].values();
  oracle::attend_f64_original({.q = q,
                               .k = k,
                               .v = v,
                               .q_heads = 6,
                               .kv_heads = 2,
                               .head_dim = 32,
                               .softmax_scale = testing::effective_scale(problem, {})},
                              [&](const oracle::Row& row) {
                                const std::vector<double>& other = blocked[{row.token, row.q_head}];
                                ASSERT_EQ(other.size(), row.out.size());
                                for (int d = 0; d < 32; ++d)
                                  EXPECT_NEAR(other[d], row.out[d], 1e-12);
                              });
  EXPECT_EQ(blocked.size(), 420u);
}

// The tail leaves the values, stays in lse, and its mass is reported.
TEST(AttendF64, TailCountsInLseOnly) {
  const Problem problem = make_problem({.head_dim = 32, .sequences = {{128, 1}}});
  const CustomSource source(problem, RowFormat::kHalf);
  const std::vector<double> q = problem.q.values();
  const auto run = [&](std::uint8_t first, std::uint8_t second) {
    oracle::Row result;
    const AttendTrace trace = {{.q_heads = 1, .tokens = 1, .fate = {first, second}}};
    oracle::attend_f64(testing::oracle_problem(problem, source, q, {}), trace,
                       [&](const oracle::Row& row) { result = row; });
    return result;
  };
  constexpr std::uint8_t kHigh = kFateVisible | kFateForced;
  const oracle::Row all = run(kHigh, kHigh);
  const oracle::Row tail = run(kHigh | kFateTail, kHigh);
  EXPECT_DOUBLE_EQ(tail.lse, all.lse);
  EXPECT_DOUBLE_EQ(tail.mass_tail, all.masses[0]);
  EXPECT_GT(tail.mass_tail, 0);
  EXPECT_NE(tail.out[0], all.out[0]);
}

TEST(RowBound, IsSmallAndGrowsWithTheType) {
  const Problem problem = make_problem({.head_dim = 128, .sequences = {{1000, 4}}});
  const CustomSource source(problem, RowFormat::kHalf);
  const std::vector<double> q = problem.q.values();
  const AttendTrace trace = {
      {.q_heads = 1, .tokens = 4, .fate = std::vector<std::uint8_t>(16, kFateVisible)}};
  oracle::attend_f64(
      testing::oracle_problem(problem, source, q, {}), trace, [&](const oracle::Row& row) {
        const auto f32 = testing::row_bound(row, {.head_dim = 128});
        const auto f16 = testing::row_bound(row, {.head_dim = 128, .out = DType::kF16});
        for (int d = 0; d < 128; ++d) {
          EXPECT_GT(f32.out[d], 0);
          EXPECT_LT(f32.out[d], 1e-3);
          EXPECT_GT(f16.out[d], f32.out[d]);
        }
        EXPECT_LT(f32.lse, 1e-3);
      });
}

}  // namespace
}  // namespace thriftattn
