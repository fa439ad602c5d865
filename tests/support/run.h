// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One call of attend with owned results, and what is checked of it against the oracle.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "oracle/attend_f64.h"
#include "support/bounds.h"
#include "support/problem.h"

namespace thriftattn::testing {

struct RunOptions {
  AttendOptions attend;
  DType out = DType::kF32;
  Executor* executor = nullptr;
};

// One line that says which case failed.
std::string describe(const ProblemShape& shape, const RunOptions& options);

struct Output {
  Status status;
  Tensor out;              // [tokens, q_heads, head_dim]
  std::vector<float> lse;  // [tokens, q_heads]
  AttendReport report;
  AttendTrace trace;

  // Bits, so that NaN equals itself and -0 differs from 0.
  [[nodiscard]] bool same_bits(const Output& other) const;
  // Row (token, q head) of both results.
  [[nodiscard]] bool same_row(const Output& other, std::int64_t token, std::int64_t other_token,
                              int q_head) const;
};

// out and lse start as a pattern that no result has.
Output run(const Problem& problem, const FilledCache& filled, const RunOptions& options = {});
Output run(const Problem& problem, const KvSource& source, const RunOptions& options = {});

// What attend reads for this problem.
std::unique_ptr<KvSource> source_of(const Problem& problem, const FilledCache& filled);

// The softmax scale that attend uses.
double effective_scale(const Problem& problem, const AttendOptions& options);

oracle::Problem oracle_problem(const Problem& problem, const KvSource& source,
                               const std::vector<double>& q, const AttendOptions& options);

// Every |got - want| <= bound; the worst element is named. A NaN anywhere fails.
::testing::AssertionResult within(const std::vector<double>& got, const std::vector<double>& want,
                                  const std::vector<double>& bound);
#define EXPECT_WITHIN(got, want, bound) EXPECT_TRUE(::thriftattn::testing::within(got, want, bound))

// The arithmetic that a call is held to.
struct Definition {
  RowBound (*bound)(const oracle::Row& row, const Arithmetic& arithmetic) = row_bound;
  bool separate_means = false;  // q . mean of K is a sum of its own
};

// Output and lse of every row against the oracle with the call's own trace, within the derived
// bound.
void expect_oracle(const Problem& problem, const KvSource& source, const RunOptions& options,
                   const Output& output, const Definition& definition = {});

// Trace and report tell the same story: counts, masses, and sets inside each other.
void expect_consistent(const Problem& problem, const KvSource& source, const RunOptions& options,
                       const Output& output);

}  // namespace thriftattn::testing
