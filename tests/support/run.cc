// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "support/run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "support/w4a4.h"

namespace thriftattn::testing {
namespace {

AttendParams prepare(const Problem& problem, const RunOptions& options, Output& output) {
  const Tensor& q = problem.q;
  output.out = Tensor::make(options.out, q.tokens, q.heads, q.dim);
  std::fill(output.out.bytes.begin(), output.out.bytes.end(), std::byte{0xa5});
  output.lse.assign(static_cast<std::size_t>(q.tokens * q.heads), -12345.0f);
  AttendParams params;
  params.q = q.view();
  params.out = output.out.mutable_view();
  params.lse = output.lse.data();
  params.q_offsets = problem.q_offsets;
  params.options = options.attend;
  params.executor = options.executor;
  params.report = &output.report;
  params.trace = &output.trace;
  return params;
}

}  // namespace

bool Output::same_bits(const Output& other) const {
  return out.bytes == other.out.bytes && lse.size() == other.lse.size() &&
         std::memcmp(lse.data(), other.lse.data(), lse.size() * sizeof(float)) == 0;
}

bool Output::same_row(const Output& other, std::int64_t token, std::int64_t other_token,
                      int q_head) const {
  const std::size_t row_bytes = out.bytes.size() / lse.size();
  const auto row = static_cast<std::size_t>(token * out.heads + q_head);
  const auto other_row = static_cast<std::size_t>(other_token * other.out.heads + q_head);
  return std::memcmp(&out.bytes[row * row_bytes], &other.out.bytes[other_row * row_bytes],
                     row_bytes) == 0 &&
         std::memcmp(&lse[row], &other.lse[other_row], sizeof(float)) == 0;
}

Output run(const Problem& problem, const FilledCache& filled, const RunOptions& options) {
  Output output;
  AttendParams params = prepare(problem, options, output);
  params.sequences = filled.sequences;
  output.status = attend(params, filled.cache);
  return output;
}

Output run(const Problem& problem, const KvSource& source, const RunOptions& options) {
  Output output;
  const AttendParams params = prepare(problem, options, output);
  output.status = attend(params, source);
  return output;
}

std::unique_ptr<KvSource> source_of(const Problem& problem, const FilledCache& filled) {
  std::vector<std::int64_t> q_lens;
  for (int s = 0; s < static_cast<int>(problem.k.size()); ++s) q_lens.push_back(problem.q_len(s));
  return std::move(filled.cache.source(filled.sequences, q_lens).value());
}

double effective_scale(const Problem& problem, const AttendOptions& options) {
  if (options.softmax_scale != 0) return options.softmax_scale;
  return 1 / std::sqrt(static_cast<double>(problem.shape.head_dim));
}

oracle::Problem oracle_problem(const Problem& problem, const KvSource& source,
                               const std::vector<double>& q, const AttendOptions& options) {
  return {.q = q,
          .q_heads = problem.shape.q_heads(),
          .q_offsets = problem.q_offsets,
          .softmax_scale = effective_scale(problem, options),
          .source = &source};
}

::testing::AssertionResult within(const std::vector<double>& got, const std::vector<double>& want,
                                  const std::vector<double>& bound) {
  if (got.size() != want.size() || got.size() != bound.size()) {
    return ::testing::AssertionFailure()
           << "sizes " << got.size() << ", " << want.size() << ", " << bound.size();
  }
  std::size_t worst = got.size();
  double excess = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;  // also infinities
    const double error = std::fabs(got[i] - want[i]);
    if (error <= bound[i]) continue;
    if (worst == got.size() || std::isnan(error) || error - bound[i] > excess) {
      worst = i;
      excess = error - bound[i];
    }
  }
  if (worst == got.size()) return ::testing::AssertionSuccess();
  std::ostringstream text;
  text.precision(9);
  text << "element " << worst << ": got " << got[worst] << ", want " << want[worst] << ", error "
       << std::fabs(got[worst] - want[worst]) << " above the bound " << bound[worst];
  return ::testing::AssertionFailure() << text.str();
}

std::string describe(const ProblemShape& shape, const RunOptions& options) {
  std::ostringstream text;
  const Selection& s = options.attend.selection;
  text << "head_dim " << shape.head_dim << " kv_heads " << shape.kv_heads << " group "
       << shape.group << " kv/q_len";
  for (const SequenceShape& q : shape.sequences) text << ' ' << q.kv_len << '/' << q.q_len;
  text << " data " << name_of(shape.data) << " q " << name_of(shape.q_dtype) << " out "
       << name_of(options.out) << " policy " << static_cast<int>(s.policy) << " budget "
       << static_cast<int>(s.budget.kind) << ':' << s.budget.value << " tau " << s.tau << " unit "
       << static_cast<int>(s.unit) << " sink " << s.force_sink << " own " << s.force_own << " mode "
       << static_cast<int>(options.attend.mode) << " split " << options.attend.split_blocks
       << " centre " << shape.numerics.centre_k << " high tier "
       << static_cast<int>(shape.high_tier) << " seed " << shape.seed;
  return text.str();
}

void expect_oracle(const Problem& problem, const KvSource& source, const RunOptions& options,
                   const Output& output, const Definition& definition) {
  ASSERT_TRUE(output.status.ok()) << output.status.message();
  const std::vector<double> q = problem.q.values();
  const bool w4a4 = options.attend.mode == ComputeMode::kW4a4;
  const Arithmetic arithmetic{problem.shape.head_dim, options.attend.split_blocks, options.out,
                              w4a4};
  oracle::Problem question = oracle_problem(problem, source, q, options.attend);
  std::vector<double> q_low;
  if (w4a4) q_low = quantised_q(problem, options.attend, output.trace);
  question.q_low = q_low;
  question.separate_means = definition.separate_means;
  std::int64_t rows = 0;
  int failures = 0;
  oracle::attend_f64(question, output.trace, [&](const oracle::Row& row) {
    ++rows;
    const RowBound bound = definition.bound(row, arithmetic);
    const std::int64_t index = row.token * problem.q.heads + row.q_head;
    std::vector<double> got(row.out.size() + 1);
    std::vector<double> want = row.out;
    std::vector<double> limit = bound.out;
    for (std::size_t d = 0; d < row.out.size(); ++d) {
      got[d] = output.out.get(index * static_cast<std::int64_t>(row.out.size()) +
                              static_cast<std::int64_t>(d));
    }
    got.back() = output.lse[index];
    want.push_back(row.lse);
    limit.push_back(bound.lse);
    const ::testing::AssertionResult result = within(got, want, limit);
    // A broken kernel breaks every row: three are enough to read.
    if (!result && ++failures <= 3) {
      ADD_FAILURE() << "token " << row.token << ", q head " << row.q_head << ", " << row.keys.size()
                    << " keys (element " << row.out.size() << " is lse): " << result.message();
    }
  });
  EXPECT_EQ(failures, 0) << "rows outside the bound, of " << rows;
  EXPECT_EQ(rows, problem.q.tokens * problem.q.heads) << "the trace must name every row once";
}

}  // namespace thriftattn::testing
