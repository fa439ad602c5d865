// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// NaN and infinity: in q they spoil their own row, in K or V the rows that see the token.
#include <cmath>
#include <limits>

#include "support/custom_source.h"
#include "support/isa.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr int kHeadDim = 48;

bool row_is_nan(const Output& output, std::int64_t token, int head) {
  const std::int64_t row = token * output.out.heads + head;
  for (int d = 0; d < output.out.dim; ++d) {
    if (!std::isnan(output.out.get(row * output.out.dim + d))) return false;
  }
  return std::isnan(output.lse[row]);
}

bool row_is_finite(const Output& output, std::int64_t token, int head) {
  const std::int64_t row = token * output.out.heads + head;
  for (int d = 0; d < output.out.dim; ++d) {
    if (!std::isfinite(output.out.get(row * output.out.dim + d))) return false;
  }
  return std::isfinite(output.lse[row]);
}

class NonFinite : public EveryIsa {
 protected:
  Problem problem_ =
      make_problem({.head_dim = kHeadDim, .kv_heads = 1, .group = 3, .sequences = {{330, 70}}});
  std::vector<float> bad_values_ =
      slow() ? std::vector<float>{kNaN} : std::vector<float>{kNaN, kInf, -kInf};
};

// Selection goes on without the bad row; where nothing is left to select, the other rows keep their
// bits.
TEST_P(NonFinite, QuerySpoilsItsRowOnly) {
  const FilledCache filled = fill_cache(problem_);
  for (const SelectionUnit unit :
       {SelectionUnit::kToken, SelectionUnit::kTokenPerQHead, SelectionUnit::kTile}) {
    for (const ComputeMode mode : {ComputeMode::kKv4, ComputeMode::kW4a4}) {
      for (const bool all : {false, true}) {
        for (const float bad : bad_values_) {
          SCOPED_TRACE(::testing::Message()
                       << "unit " << static_cast<int>(unit) << " all " << all << " value " << bad);
          RunOptions options;
          options.attend.mode = mode;
          options.attend.selection.unit = unit;
          options.attend.selection.budget.value = 0.2;
          if (all) {
            options.attend.selection.budget.kind = Budget::Kind::kAll;
            options.attend.selection.tau = 0;
          }
          Problem spoiled = problem_;
          spoiled.q.set((33 * 3 + 1) * kHeadDim + 7, bad);
          const Output clean = run(problem_, filled, options);
          const Output output = run(spoiled, filled, options);
          ASSERT_TRUE(output.status.ok()) << output.status.message();
          const bool alone = all || unit == SelectionUnit::kTokenPerQHead;
          for (std::int64_t t = 0; t < 70; ++t) {
            for (int h = 0; h < 3; ++h) {
              if (t == 33 && h == 1) continue;
              ASSERT_TRUE(row_is_finite(output, t, h)) << t << ' ' << h;
              ASSERT_TRUE(!alone || output.same_row(clean, t, t, h)) << t << ' ' << h;
            }
          }
          EXPECT_TRUE(row_is_nan(output, 33, 1));
        }
      }
    }
  }
}

// A query that is -inf or +inf times everything it sees has no softmax: NaN, never "sees nothing".
TEST_P(NonFinite, InfiniteScoresAreNotAnEmptyRow) {
  for (std::int64_t i = 0; i < problem_.k[0].size(); i += kHeadDim) problem_.k[0].set(i, 1.5);
  const FilledCache filled = fill_cache(problem_);
  for (const float bad : {kInf, -kInf}) {
    Problem spoiled = problem_;
    for (int d = 0; d < kHeadDim; ++d) spoiled.q.set((33 * 3 + 1) * kHeadDim + d, d == 0 ? bad : 0);
    const Output output = run(spoiled, filled);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    EXPECT_TRUE(row_is_nan(output, 33, 1)) << bad;
    EXPECT_TRUE(row_is_finite(output, 33, 0)) << bad;
  }
}

// Rows before the bad token keep their bits; NaN reaches every row that sees it.
TEST_P(NonFinite, TokenSpoilsRowsThatSeeIt) {
  constexpr std::int64_t kToken = 290;  // row 30 of q
  CustomSource clean(problem_, RowFormat::kHalf);
  clean.unseal(0, kToken / kBlockTokens);
  for (const bool in_k : {true, false}) {
    for (const float bad : bad_values_) {
      SCOPED_TRACE(::testing::Message() << (in_k ? "K " : "V ") << bad);
      CustomSource source(problem_, RowFormat::kHalf);
      source.spoil(0, kToken, in_k, 5, bad);
      RunOptions options;
      options.attend.selection.unit = SelectionUnit::kToken;
      const Output want = run(problem_, clean, options);
      const Output output = run(problem_, source, options);
      ASSERT_TRUE(output.status.ok()) << output.status.message();
      for (std::int64_t t = 0; t < 70; ++t) {
        for (int h = 0; h < 3; ++h) {
          const bool sees = 260 + t >= kToken;
          ASSERT_TRUE(sees || output.same_row(want, t, t, h)) << t << ' ' << h;
          if (!sees || !std::isnan(bad)) continue;
          const double spoiled = output.out.get((t * 3 + h) * kHeadDim + 5);
          EXPECT_TRUE(std::isnan(spoiled)) << t << ' ' << h;
        }
      }
    }
  }
}

// The same inside one tile: rows of the tile that do not see the token stay right.
TEST_P(NonFinite, TokenInATile) {
  constexpr std::int64_t kToken = 290;
  CustomSource source(problem_, RowFormat::kHalf);
  source.spoil(0, kToken, true, 5, kNaN);
  source.spoil(0, kToken, false, 5, kNaN);
  RunOptions options;
  options.attend.selection.unit = SelectionUnit::kTile;
  const Output output = run(problem_, source, options);
  ASSERT_TRUE(output.status.ok()) << output.status.message();
  const std::vector<double> q = problem_.q.values();
  oracle::attend_f64(oracle_problem(problem_, source, q, options.attend), output.trace,
                     [&](const oracle::Row& row) {
                       const std::int64_t at = (row.token * 3 + row.q_head) * kHeadDim;
                       if (260 + row.token >= kToken) {
                         EXPECT_TRUE(row_is_nan(output, row.token, row.q_head));
                         return;
                       }
                       std::vector<double> got;
                       for (int d = 0; d < kHeadDim; ++d) got.push_back(output.out.get(at + d));
                       EXPECT_WITHIN(got, row.out, row_bound(row, {.head_dim = kHeadDim}).out);
                     });
}

THRIFTATTN_FOR_EVERY_ISA(NonFinite);

}  // namespace
}  // namespace thriftattn::testing
