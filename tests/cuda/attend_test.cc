// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend on the device against the double-precision oracle, over the shapes and options that it
// supports, within the derived bound.
#include "cuda/decode/plan.h"
#include "cuda/device_run.h"

namespace thriftattn::testing {
namespace {

struct Case {
  ProblemShape shape{.head_dim = 128,
                     .kv_heads = 2,
                     .group = 4,
                     .sequences = {{1030, 1}, {330, 3}},
                     .q_dtype = DType::kF16};
  RunOptions options;
};

class DeviceGrid : public OnHighTier {
 protected:
  static void check(Case c, Residence residence = Residence::kDevice) {
    c.shape.high_tier = GetParam();
    SCOPED_TRACE(describe(c.shape, c.options));
    const Problem problem = make_problem(c.shape);
    const DeviceCache filled = fill_device(problem, {.residence = residence});
    CudaAttendPlan plan = make_plan(problem, filled);
    const Output output = run_device(problem, filled, plan, c.options);
    expect_device_oracle(problem, filled, c.options, output);
  }
  // Everything in the high tier; `ctas`: how many a panel of 16-bit rows gets as a cluster where as
  // many run side by side as on an H200, 0 where panels are cut instead.
  // warps: of a CTA of a cluster, likewise; 0: whatever it is.
  static void check_dense(Case c, int ctas, int warps = 0) {
    c.shape.high_tier = GetParam();
    c.options.attend.selection.budget = {Budget::Kind::kAll, 0};
    SCOPED_TRACE(describe(c.shape, c.options));
    const Problem problem = make_problem(c.shape);
    const DeviceCache filled = fill_device(problem);
    CudaAttendPlan plan = make_plan(problem, filled);
    const Output output = run_device(problem, filled, plan, c.options);
    const cuda::DecodeShape& grid = plan.impl().shape;
    if (grid.ctas == 132 && grid.clusters[3] >= 15 && grid.clusters[4] >= 7) {
      EXPECT_EQ(plan.impl().cluster_ctas, GetParam() == HighTier::kRows16 ? ctas : 0);
      if (warps > 0 && GetParam() == HighTier::kRows16) {
        EXPECT_EQ(plan.impl().dense_warps, warps);
      }
    }
    expect_device_oracle(problem, filled, c.options, output);
    // Every block's mass, and no other.
    EXPECT_NEAR(output.report.mass_covered, static_cast<double>(output.report.rows), 2e-3);
    EXPECT_EQ(output.report.forced, output.report.blocks);
  }
};

TEST_P(DeviceGrid, HeadDims) {
  for (const int head_dim : {64, 128, 256}) {
    Case c;
    c.shape.head_dim = head_dim;
    check(c);
  }
}

TEST_P(DeviceGrid, HighTierInPinnedHostMemory) {
  Case c;
  c.options.attend.selection.budget.value = 0.3;
  check(c, Residence::kPinnedHost);
}

TEST_P(DeviceGrid, Groups) {
  for (const int group : {1, 2, 3, 4, 5, 7, 8, 9, 16, 24}) {
    Case c;
    c.shape.group = group;
    check(c);
  }
}

TEST_P(DeviceGrid, QueryLengths) {
  for (const std::int64_t q_len : {1, 2, 3, 5, 8, 15, 16}) {
    Case c;
    c.shape.sequences = {{q_len + 700, q_len}, {q_len, q_len}, {64 + q_len / 2, q_len}};
    check(c);
  }
}

TEST_P(DeviceGrid, RaggedLengths) {
  const std::vector<SequenceShape> lengths[] = {{{1, 1}},
                                                {{63, 1}},
                                                {{64, 1}},
                                                {{65, 2}},
                                                {{128, 1}},
                                                {{129, 7}, {64, 0}, {66, 1}},
                                                {{4096, 1}},
                                                {{5000, 1}, {1, 1}},
                                                {{400, 1}, {1, 1}, {192, 2}, {65, 16}, {3000, 4}},
                                                {{20000, 1}, {64, 1}, {300, 2}}};
  for (const auto& sequences : lengths) {
    Case c;
    c.shape.sequences = sequences;
    check(c);
  }
}

// Where a panel has more CTAs than are added up at a time, groups of them are first.
TEST_P(DeviceGrid, MoreCtasAPanelThanMergeAtATime) {
  for (const int head_dim : {64, 128, 256}) {
    for (const auto& sequences : std::vector<std::vector<SequenceShape>>{
             {{9000, 1}}, {{9000, 1}, {20000, 1}}, {{3000, 1}, {1, 1}, {12345, 2}, {700, 1}}}) {
      Case c;
      c.shape.head_dim = head_dim;
      c.shape.kv_heads = 1;
      c.shape.group = 3;
      c.shape.data = DataKind::kRising;
      c.shape.sequences = sequences;
      check(c);
    }
  }
}

// The same where these panels share a CTA with others: too uneven for whole CTAs a panel.
TEST_P(DeviceGrid, MoreCtasAPanelThanMergeAtATimeAndACut) {
  for (const int head_dim : {64, 128, 256}) {
    Case c;
    c.shape.head_dim = head_dim;
    c.shape.kv_heads = 1;
    c.shape.group = 3;
    c.shape.sequences.assign(20, {384, 1});
    c.shape.sequences.insert(c.shape.sequences.begin(), 2, {18048, 1});
    check(c);
  }
}

TEST_P(DeviceGrid, DataAndNumerics) {
  for (const DataKind data : {DataKind::kGaussian, DataKind::kChannelOffsets, DataKind::kSink,
                              DataKind::kNeedles, DataKind::kOutliers}) {
    for (const bool plain : {false, true}) {
      Case c;
      c.shape.data = data;
      if (plain) c.shape.numerics = Numerics::plain();
      check(c);
    }
  }
}

// Several blocks a warp, each with larger scores than the one before: what was added up so far is
// scaled down again and again.
TEST_P(DeviceGrid, ScoresThatRise) {
  Case c;
  c.shape.data = DataKind::kRising;
  c.shape.kv_heads = 4;
  c.shape.group = 2;
  c.shape.sequences = {{51230, 1}};
  c.options.attend.selection.budget.value = 0;
  c.options.attend.selection.tau = 0;
  check(c);
}

TEST_P(DeviceGrid, Types) {
  for (const DType q : {DType::kF16, DType::kBF16}) {
    for (const DType out : {DType::kF32, DType::kF16, DType::kBF16}) {
      Case c;
      c.shape.q_dtype = q;
      c.options.out = out;
      check(c);
    }
  }
}

TEST_P(DeviceGrid, PoliciesBudgetsAndTails) {
  for (const Policy policy : {Policy::kFp4Mass, Policy::kBlockMean, Policy::kQuest}) {
    for (const Budget& budget :
         {Budget{Budget::Kind::kFraction, 0.0}, Budget{Budget::Kind::kFraction, 0.05},
          Budget{Budget::Kind::kFraction, 0.3}, Budget{Budget::Kind::kFraction, 1, 1, 1},
          Budget{Budget::Kind::kCount, 2}, Budget{Budget::Kind::kCount, 1000},
          Budget{Budget::Kind::kAll, 0}}) {
      for (const double tau : {0.0, 0.01, 0.3}) {
        Case c;
        c.shape.channel_bounds = true;
        c.options.attend.selection.policy = policy;
        c.options.attend.selection.budget = budget;
        c.options.attend.selection.tau = tau;
        check(c);
      }
    }
  }
}

TEST_P(DeviceGrid, SinkScaleAndCrossover) {
  for (const bool sink : {false, true}) {
    for (const float scale : {0.0f, 0.01f, 0.5f}) {
      for (const std::int64_t crossover : {0, 500, 100000}) {
        Case c;
        c.options.attend.selection.force_sink = sink;
        c.options.attend.softmax_scale = scale;
        c.options.attend.crossover_tokens = crossover;
        check(c);
      }
    }
  }
}

TEST_P(DeviceGrid, DenseByClustersOrCut) {
  const auto with = [](int head_dim, int kv_heads, int group,
                       std::vector<SequenceShape> sequences) {
    Case c;
    c.shape.head_dim = head_dim;
    c.shape.kv_heads = kv_heads;
    c.shape.group = group;
    c.shape.sequences = std::move(sequences);
    return c;
  };
  for (const int head_dim : {64, 128, 256}) {
    check_dense(with(head_dim, 1, 1, {{1, 1}}), 1);
    check_dense(with(head_dim, 2, 4, {{700, 1}, {330, 1}, {64, 1}}), head_dim == 256 ? 16 : 8);
    check_dense(with(head_dim, 2, 3, {{1000, 1}, {600, 1}}), head_dim == 256 ? 16 : 8);
    check_dense(with(head_dim, 1, 9, {{530, 16}, {97, 3}}),
                head_dim == 64 ? 8 : 4);  // units of several panels
  }
  check_dense(with(64, 1, 2, {{40000, 1}}), 0);           // few, and much to read
  check_dense(with(64, 2, 4, {{40000, 1}, {65, 1}}), 0);  // one much longer
  check_dense(with(64, 64, 1, {{4500, 1}}), 2);           // pages looked up twice
  check_dense(with(64, 7, 1, {{40000, 1}}), 16);
  check_dense(with(64, 16, 1, std::vector<SequenceShape>(40, {70, 1})), 0);       // many short ones
  check_dense(with(64, 16, 1, std::vector<SequenceShape>(12, {1000, 1})), 1, 8);  // two an SM
  check_dense(with(64, 3, 3, std::vector<SequenceShape>(8, {1000, 1})), 8, 8);
  check_dense(with(128, 16, 1, std::vector<SequenceShape>(12, {700, 1})), 1, 12);  // two waves
}

// Steps of decoding that carry a state across block boundaries: each against the oracle.
TEST_P(DeviceGrid, StepsWithAState) {
  for (const double tau : {0.0, 0.05}) {
    Case c;
    constexpr std::int64_t kSteps = 70;
    c.shape.high_tier = GetParam();
    c.shape.sequences = {{1500, 1}, {90, 1}};
    c.options.attend.selection.tau = tau;
    const Problem problem = make_problem(c.shape);
    DeviceCache filled = fill_device(problem, {.spare_tokens = kSteps});
    CudaAttendPlan plan = make_plan(problem, filled);
    Result<CudaAttendState> state = CudaAttendState::create(filled.cache, problem.q.heads);
    ASSERT_TRUE(state.ok()) << state.status().message();
    ProblemShape tokens = c.shape;
    tokens.sequences = {{kSteps, kSteps}, {kSteps, kSteps}};
    tokens.seed = 5;
    const Problem more = make_problem(tokens);
    const DeviceRows k = upload(more.k[0]);
    const DeviceRows v = upload(more.v[0]);
    for (std::int64_t step = 0; step < kSteps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step) + " tau " + std::to_string(tau));
      Problem now = problem;
      for (std::int64_t i = 0; i < now.q.size(); ++i) {
        now.q.set(i, more.q.get((step * now.q.size() + i) % more.q.size()));
      }
      const Output output = run_device(now, filled, plan, c.options, &state.value());
      expect_device_oracle(now, filled, c.options, output);
      for (const SequenceId id : filled.sequences) {
        const Status appended = filled.cache.append(id, slice(k.view, step, step + 1),
                                                    slice(v.view, step, step + 1), {});
        ASSERT_TRUE(appended.ok()) << appended.message();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HighTiers, DeviceGrid, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
