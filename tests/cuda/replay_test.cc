// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Attention of real models, replayed from captures: on the host, so that the captures are known to
// be right, and on the device within the derived bound. Skipped where no capture is named.
#include <cmath>

#include "cuda/capture_problem.h"
#include "cuda/device_run.h"

namespace thriftattn::testing {
namespace {

class Replay : public OnDevice {
 protected:
  void SetUp() override {
    problems_ = captured_problems();
    if (problems_.empty()) GTEST_SKIP() << "THRIFTATTN_CAPTURES names no file";
  }

  static RunOptions options_of(const CapturedProblem& captured) {
    RunOptions options;
    options.attend.softmax_scale = captured.softmax_scale;
    return options;
  }

  std::vector<CapturedProblem> problems_;
};

class DeviceReplay : public Replay, public ::testing::WithParamInterface<HighTier> {
 protected:
  void SetUp() override {
    Replay::SetUp();
    if (!IsSkipped()) OnDevice::SetUp();
    for (CapturedProblem& captured : problems_) captured.problem.shape.high_tier = GetParam();
  }
};

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double distance = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    distance += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(distance / norm);
}

// q is rounded to half here: 2^-11 of a logit, whose size is some 10 to 100.
TEST_F(Replay, HostGivesTheModelsOutput) {
  for (const CapturedProblem& captured : problems_) {
    SCOPED_TRACE(captured.name);
    RunOptions options = options_of(captured);
    options.attend.selection = Selection::exact();
    const FilledCache filled = fill_cache(captured.problem);
    const Output output = run(captured.problem, filled, options);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    EXPECT_LT(relative_distance(output.out.values(), captured.model_out.values()), 0.02);
  }
}

TEST_P(DeviceReplay, OneCallOfSeveralTokens) {
  for (const CapturedProblem& captured : problems_) {
    SCOPED_TRACE(captured.name);
    const RunOptions options = options_of(captured);
    const DeviceCache filled = fill_device(captured.problem);
    CudaAttendPlan plan = make_plan(captured.problem, filled);
    expect_device_oracle(captured.problem, filled, options,
                         run_device(captured.problem, filled, plan, options));
  }
}

// The tokens one by one, each step with the sets that the one before it chose.
TEST_P(DeviceReplay, StepsWithAState) {
  for (const CapturedProblem& captured : problems_) {
    SCOPED_TRACE(captured.name);
    const RunOptions options = options_of(captured);
    const std::int64_t last = captured.problem.k[0].tokens;
    const std::int64_t first = last - captured.problem.q.tokens + 1;
    const DeviceRows k = upload(captured.problem.k[0]);
    const DeviceRows v = upload(captured.problem.v[0]);
    Problem step = at_token(captured.problem, first);
    DeviceCache filled = fill_device(step, {.spare_tokens = last - first});
    CudaAttendPlan plan = make_plan(step, filled);
    Result<CudaAttendState> state = CudaAttendState::create(filled.cache, step.q.heads);
    ASSERT_TRUE(state.ok()) << state.status().message();
    for (std::int64_t tokens = first; tokens <= last; ++tokens) {
      if (tokens > first) {
        step = at_token(captured.problem, tokens);
        const Status status =
            filled.cache.append(filled.sequences[0], slice(k.view, tokens - 1, tokens),
                                slice(v.view, tokens - 1, tokens), {});
        ASSERT_TRUE(status.ok()) << status.message();
      }
      const Output output = run_device(step, filled, plan, options, &state.value());
      SCOPED_TRACE("token " + std::to_string(tokens));
      expect_device_oracle(step, filled, options, output);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HighTiers, DeviceReplay, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
