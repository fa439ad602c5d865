// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What must be the same, bit for bit, on the device; what a call refuses; and that its sets are
// those of the host but for blocks at a threshold.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/cache/cache_impl.h"
#include "cuda/captured.h"
#include "cuda/decode/plan.h"
#include "cuda/device_run.h"

namespace thriftattn::testing {
namespace {

class DeviceLaws : public OnHighTier {
 protected:
  static ProblemShape laws_shape() {
    return {.head_dim = 128,
            .kv_heads = 2,
            .group = 4,
            .sequences = {{2100, 1}, {130, 2}, {1, 1}},
            .q_dtype = DType::kF16,
            .high_tier = GetParam()};
  }
};

TEST_P(DeviceLaws, TwoRunsGiveTheSameBits) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  const Output first = run_device(problem, filled, plan, {});
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(run_device(problem, filled, plan, {}).same_bits(first)) << "run " << i;
  }
  CudaAttendPlan other = make_plan(problem, filled);
  EXPECT_TRUE(run_device(problem, filled, other, {}).same_bits(first)) << "another plan";
}

TEST_P(DeviceLaws, StepsWithAStateGiveTheSameBits) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  std::vector<Output> outputs;
  for (int run = 0; run < 2; ++run) {
    Result<CudaAttendState> state = CudaAttendState::create(filled.cache, problem.q.heads);
    ASSERT_TRUE(state.ok());
    for (int step = 0; step < 4; ++step) {
      outputs.push_back(run_device(problem, filled, plan, {}, &state.value()));
    }
  }
  for (int step = 0; step < 4; ++step) {
    EXPECT_TRUE(outputs[step].same_bits(outputs[step + 4])) << "step " << step;
  }
}

TEST_P(DeviceLaws, PageOrderChangesNothing) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache one = fill_device(problem, {.shuffled = false});
  CudaAttendPlan plan = make_plan(problem, one);
  const Output want = run_device(problem, one, plan, {});
  for (const std::uint64_t seed : {1, 2}) {
    const DeviceCache other = fill_device(problem, {.shuffled = true, .seed = seed});
    EXPECT_TRUE(run_device(problem, other, plan, {}).same_bits(want)) << "seed " << seed;
  }
}

// What earlier calls left in the plan's memory is not read.
TEST_P(DeviceLaws, WhatThePlanHeldBeforeChangesNothing) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  const Output want = run_device(problem, filled, plan, {});
  CudaAttendPlan::Impl& impl = plan.impl();
  const auto poison = [](auto& buffer) {
    ASSERT_EQ(cudaMemset(buffer.data(), 0xff, static_cast<std::size_t>(buffer.bytes())),
              cudaSuccess);
  };
  poison(impl.masses);
  poison(impl.row_lse);
  poison(impl.floor);
  poison(impl.partials);
  poison(impl.headers);
  poison(impl.scratch.sets);
  poison(impl.scratch.lists);
  EXPECT_TRUE(run_device(problem, filled, plan, {}).same_bits(want));
}

TEST_P(DeviceLaws, ARowOfNanSpoilsItselfOnly) {
  for (const Budget::Kind kind : {Budget::Kind::kAll, Budget::Kind::kFraction}) {
    const Problem problem = make_problem(laws_shape());
    Problem spoiled = problem;
    const std::int64_t head = 5;
    spoiled.q.set(head * 128 + 17, std::numeric_limits<double>::quiet_NaN());
    const DeviceCache filled = fill_device(problem);
    CudaAttendPlan plan = make_plan(problem, filled);
    RunOptions options;
    options.attend.selection.budget = {kind, 0.0};
    const Output clean = run_device(problem, filled, plan, options);
    const Output output = run_device(spoiled, filled, plan, options);
    ASSERT_TRUE(output.status.ok());
    for (std::int64_t token = 0; token < problem.q.tokens; ++token) {
      for (int h = 0; h < problem.q.heads; ++h) {
        if (token == 0 && h == head) {
          EXPECT_TRUE(std::isnan(output.out.get(head * 128)));
          EXPECT_TRUE(std::isnan(output.lse[head]));
        } else if (kind == Budget::Kind::kAll) {
          EXPECT_TRUE(output.same_row(clean, token, token, h)) << token << ' ' << h;
        } else {
          EXPECT_TRUE(std::isfinite(output.lse[token * problem.q.heads + h]));
        }
      }
    }
  }
}

// The host counts a token that the device refused: its sequence has none.
TEST_P(DeviceLaws, ASequenceWithoutTokensLeavesTheOthers) {
  const Problem problem = make_problem(laws_shape());
  DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  const Output want = run_device(problem, filled, plan, {});

  Tensor rows = random_rows(1, 2, 128, 3);
  rows.set(200, std::numeric_limits<double>::infinity());
  const DeviceRows bad = upload(rows);
  filled.sequences.push_back(filled.cache.add_sequence().value());
  ASSERT_TRUE(filled.cache.append(filled.sequences.back(), bad.view, bad.view, {}).ok());
  Problem more = problem;
  more.q = Tensor::make(DType::kF16, problem.q.tokens + 1, problem.q.heads, problem.q.dim);
  std::copy(problem.q.bytes.begin(), problem.q.bytes.end(), more.q.bytes.begin());
  more.q_offsets.push_back(more.q.tokens);
  CudaAttendPlan larger =
      std::move(CudaAttendPlan::create(filled.cache, problem.q.heads, 4, 16).value());
  Result<CudaAttendState> state = CudaAttendState::create(filled.cache, problem.q.heads);
  ASSERT_TRUE(state.ok());
  for (const bool with_state : {false, true, true}) {  // from scratch, so too, from carried sets
    const Output output =
        run_device(more, filled, larger, {}, with_state ? &state.value() : nullptr);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    for (std::int64_t i = 0; i < problem.q.tokens * problem.q.heads; ++i) {
      EXPECT_NEAR(output.lse[i], want.lse[i], 0.02) << "row " << i;
      EXPECT_NEAR(output.out.get(128 * i + 7), want.out.get(128 * i + 7), 0.05) << "row " << i;
    }
  }
  EXPECT_EQ(filled.cache.synchronize({}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(filled.cache.length(filled.sequences.back()).value(), 0);
}

TEST_P(DeviceLaws, AGraphReplaysTheCall) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  const Output want = run_device(problem, filled, plan, {});
  const DeviceRows q = upload(problem.q);
  cuda::DeviceBuffer<float> out;
  ASSERT_TRUE(out.allocate(problem.q.size(), "out").ok());
  CudaAttendParams params;
  params.q = q.view;
  params.out = TensorView::packed(out.data(), DType::kF32, problem.q.tokens, problem.q.heads, 128);
  params.sequences = filled.sequences;
  params.q_offsets = problem.q_offsets;
  Captured graph;
  graph.capture([&] {
    const Status status = attend(params, filled.cache, plan, graph.stream());
    EXPECT_TRUE(status.ok()) << status.message();
  });
  for (int replay = 0; replay < 3; ++replay) {
    ASSERT_EQ(cudaMemset(out.data(), 0xff, static_cast<std::size_t>(out.bytes())), cudaSuccess);
    graph.replay();
    ASSERT_EQ(cudaStreamSynchronize(static_cast<cudaStream_t>(graph.stream().handle)), cudaSuccess);
    std::vector<std::byte> got(want.out.bytes.size());
    ASSERT_EQ(cudaMemcpy(got.data(), out.data(), got.size(), cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_EQ(std::memcmp(got.data(), want.out.bytes.data(), got.size()), 0) << "replay " << replay;
  }
}

// A captured call sees what sequences have when it is replayed, far beyond what they had.
TEST_P(DeviceLaws, ACapturedCallGrowsWithItsSequences) {
  ProblemShape shape = laws_shape();
  shape.sequences = {{60, 1}, {3, 1}};
  const Problem problem = make_problem(shape);
  for (const Budget::Kind kind : {Budget::Kind::kAll, Budget::Kind::kFraction}) {
    DeviceCache filled = fill_device(problem, {.spare_tokens = 2400});
    CudaAttendPlan plan = make_plan(problem, filled);
    RunOptions options;
    options.attend.selection.budget.kind = kind;
    DeviceCall call(problem, filled.sequences, options);
    Captured graph;
    graph.capture([&] {
      const Status status = attend(call.params, filled.cache, plan, graph.stream());
      EXPECT_TRUE(status.ok()) << status.message();
    });
    for (const std::int64_t tokens : {0, 2300, 70}) {
      const Tensor rows = random_rows(tokens, shape.kv_heads, shape.head_dim, 11);
      const DeviceRows more = upload(rows);
      ASSERT_TRUE(filled.cache.append(filled.sequences[0], more.view, more.view, {}).ok());
      ASSERT_TRUE(filled.cache.synchronize({}).ok());
      graph.replay();
      ASSERT_TRUE(filled.cache.synchronize(graph.stream()).ok());
      const Output output = call.finish({}, plan);
      expect_device_oracle(problem, filled, options, output);
      EXPECT_LE(output.report.mass_covered, static_cast<double>(output.report.rows) + 2e-3);
    }
  }
}

// More panels than a CTA's window holds, most of them short.
TEST_P(DeviceLaws, ManyShortSequencesBesideALongOne) {
  ProblemShape shape = laws_shape();
  shape.head_dim = 64;
  shape.kv_heads = 4;
  shape.group = 2;
  shape.sequences.assign(200, {3, 1});
  shape.sequences[77] = {9000, 1};
  const Problem problem = make_problem(shape);
  const DeviceCache filled = fill_device(problem, {.shuffled = false});
  CudaAttendPlan plan = make_plan(problem, filled, 1);
  const Output output = run_device(problem, filled, plan, {});
  expect_device_oracle(problem, filled, {}, output);
}

// The host's sets, from the same stored values, but for blocks whose rank is at the threshold.
TEST_P(DeviceLaws, SetsAreTheHostsButForTies) {
  for (const DataKind data : {DataKind::kNeedles, DataKind::kSink, DataKind::kGaussian}) {
    ProblemShape shape = laws_shape();
    shape.data = data;
    shape.sequences = {{6400, 1}, {3000, 1}};
    const Problem problem = make_problem(shape);
    const DeviceCache filled = fill_device(problem);
    const FilledCache host = fill_cache(problem);
    CudaAttendPlan plan = make_plan(problem, filled);
    RunOptions options;
    options.attend.selection.tau = 0;
    const Output device = run_device(problem, filled, plan, options);
    const Output cpu = run(problem, host, options);
    // Masses of the low tier alone rank: those of a call without a budget.
    RunOptions nothing = options;
    nothing.attend.selection.budget.value = 0;
    const Output low = run(problem, host, nothing);
    const std::vector<double> q = problem.q.values();
    const auto source = source_of(problem, host);
    std::vector<std::vector<double>> ranks(low.trace.size());
    std::size_t unit = 0;
    int row = 0;
    const auto question = oracle_problem(problem, *source, q, nothing.attend);
    oracle::attend_f64(question, low.trace, [&](const oracle::Row& r) {
      ranks[unit].resize(r.masses.size());
      for (std::size_t b = 0; b < r.masses.size(); ++b) ranks[unit][b] += r.masses[b];
      if (++row % shape.group == 0) ++unit;
    });
    ASSERT_EQ(device.trace.size(), cpu.trace.size());
    for (std::size_t u = 0; u < cpu.trace.size(); ++u) {
      double threshold = std::numeric_limits<double>::infinity();
      for (std::size_t b = 0; b < ranks[u].size(); ++b) {
        if ((cpu.trace[u].fate[b] & kFatePromotedK) != 0) {
          threshold = std::min(threshold, ranks[u][b]);
        }
      }
      for (std::size_t b = 0; b < ranks[u].size(); ++b) {
        const unsigned differs = (device.trace[u].fate[b] ^ cpu.trace[u].fate[b]) & kFatePromotedK;
        if (differs == 0) continue;
        // Ranks are compared to 2^-13 of an octave, and come from weights in half.
        EXPECT_NEAR(ranks[u][b] / threshold, 1.0, 5e-3) << "unit " << u << " block " << b;
      }
    }
  }
}

// All ranks are equal: the first blocks are taken, and no more than the budget has.
TEST_P(DeviceLaws, OfEqualBlocksTheFirstArePromoted) {
  ProblemShape shape = laws_shape();
  shape.data = DataKind::kEqualBlocks;
  for (const std::int64_t blocks : {40, 700}) {
    shape.sequences = {{kBlockTokens * blocks + 1, 1}};
    const Problem problem = make_problem(shape);
    const DeviceCache filled = fill_device(problem);
    CudaAttendPlan plan = make_plan(problem, filled);
    RunOptions options;
    options.attend.selection.budget = {Budget::Kind::kFraction, 0.1, 1.5, 0.5};
    options.attend.selection.tau = 0;
    const Output output = run_device(problem, filled, plan, options);
    const double candidates = static_cast<double>(blocks - 1);  // but for the sink
    const double k_count = std::ceil(0.15 * candidates - 1e-9);
    const double v_count = std::ceil(0.05 * candidates - 1e-9);
    for (const UnitTrace& unit : output.trace) {
      for (std::int64_t b = 1; b < blocks; ++b) {
        const auto rank = static_cast<double>(b - 1);
        EXPECT_EQ((unit.fate[b] & kFatePromotedK) != 0, rank < k_count) << "block " << b;
        EXPECT_EQ((unit.fate[b] & kFatePromotedV) != 0, rank < v_count) << "block " << b;
      }
    }
  }
}

// Sets and lists chosen from what a call left behind; blocks: as launch_select() has it.
struct Chosen {
  std::vector<std::byte> sets;
  std::vector<std::byte> lists;
};
Chosen choose(const CudaAttendPlan::Impl& plan, const CudaKvCache& cache,
              const Selection& selection, bool with_fates, int blocks) {
  cuda::SetsBuffer buffer;
  EXPECT_TRUE(cuda::allocate_sets(cache, buffer).ok());
  const auto clear = [](auto& memory) {
    EXPECT_EQ(cudaMemset(memory.data(), 0, static_cast<std::size_t>(memory.bytes())), cudaSuccess);
  };
  clear(buffer.sets);
  clear(buffer.lists);
  cuda::SelectArgs args;
  args.cache = plan.last_cache;
  args.masses = plan.masses.data();
  args.row_lse = plan.row_lse.data();
  args.fates = plan.fates.data();
  args.tail_by_fate = with_fates;
  args.sets = buffer.sets.data();
  args.lists = buffer.lists.data();
  args.budget = selection.budget;
  args.tau = static_cast<float>(selection.tau);
  args.sink = 1;
  args.shape = plan.last;
  EXPECT_EQ(cuda::launch_select(args, blocks, plan.shape.shared_limit, nullptr), cudaSuccess);
  return {read_back<std::byte>(buffer.sets), read_back<std::byte>(buffer.lists)};
}

TEST_P(DeviceLaws, OneCtaAndEightChooseTheSame) {
  for (const DataKind data : {DataKind::kNeedles, DataKind::kGaussian, DataKind::kEqualBlocks}) {
    for (const std::int64_t length : {65, 330, 6410, 45000}) {
      ProblemShape shape = laws_shape();
      shape.head_dim = 64;
      shape.data = data;
      shape.sequences = {{length, 1}, {200, 3}};
      const Problem problem = make_problem(shape);
      const DeviceCache filled = fill_device(problem);
      CudaAttendPlan plan = make_plan(problem, filled);
      for (const double tau : {0.0, 0.2}) {
        RunOptions options;
        options.attend.selection.tau = tau;
        options.attend.selection.budget = {Budget::Kind::kFraction, 0.1, 1.5, 0.5};
        ASSERT_TRUE(run_device(problem, filled, plan, options).status.ok());
        for (const bool with_fates : {false, true}) {
          const auto by = [&](int blocks) {
            return choose(plan.impl(), filled.cache, options.attend.selection, with_fates, blocks);
          };
          const Chosen one = by(1);
          const Chosen eight = by(1 << 20);
          EXPECT_EQ(one.sets, eight.sets) << "length " << length << " tau " << tau;
          EXPECT_EQ(one.lists, eight.lists) << "length " << length << " tau " << tau;
          EXPECT_NE(one.sets, std::vector<std::byte>(one.sets.size()));
        }
      }
    }
  }
}

// Of a nested high tier the residual counts as high and its low part as low.
TEST_P(DeviceLaws, TheReportCountsTheBytesOfEachTier) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  RunOptions options;
  options.attend.selection.tau = 0.05;
  for (const Budget::Kind kind : {Budget::Kind::kFraction, Budget::Kind::kAll}) {
    options.attend.selection.budget.kind = kind;
    const Output output = run_device(problem, filled, plan, options);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    const cuda::DeviceTileLayout layout{128};
    std::int64_t low = 0, high = 0;
    for (const UnitTrace& unit : output.trace) {
      if (unit.first_token > 0) continue;  // all rows of a kv head are one panel here
      for (std::size_t b = 0; b < unit.fate.size(); ++b) {
        const unsigned fate = unit.fate[b];
        const bool rows = GetParam() == HighTier::kRows16 ||
                          64 * static_cast<std::int64_t>(b + 1) > problem.kv_len(unit.sequence);
        const auto add = [&](bool promoted, int low_bytes) {
          if (!promoted || !rows) low += low_bytes;
          if (promoted) high += rows ? layout.high_bytes() : layout.residual_bytes();
        };
        add((fate & (kFateForced | kFatePromotedK)) != 0, layout.k_bytes());
        if ((fate & kFateTail) != 0) continue;
        add((fate & (kFateForced | kFatePromotedV)) != 0, layout.v_bytes());
      }
    }
    EXPECT_EQ(output.report.bytes_low, low);
    EXPECT_EQ(output.report.bytes_high, high);
    EXPECT_EQ(low == 0, kind == Budget::Kind::kAll && GetParam() == HighTier::kRows16);
  }
}

TEST_P(DeviceLaws, APlanOfTheOtherTierIsRefused) {
  Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  Problem other = problem;
  other.shape.high_tier = GetParam() == HighTier::kNested ? HighTier::kRows16 : HighTier::kNested;
  CudaAttendPlan plan = make_plan(other, fill_device(other));
  const Output output = run_device(problem, filled, plan, {});
  EXPECT_EQ(output.status.code(), StatusCode::kInvalidArgument);
}

TEST_P(DeviceLaws, RefusesWhatItCannotDo) {
  const Problem problem = make_problem(laws_shape());
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled, 2);
  const auto refuses = [&](const char* want, auto&& change) {
    RunOptions options;
    Problem changed = problem;
    change(options.attend, changed);
    const Output output = run_device(changed, filled, plan, options);
    EXPECT_FALSE(output.status.ok()) << want;
    EXPECT_NE(output.status.message().find(want), std::string::npos) << output.status.message();
  };
  refuses("kMass", [](AttendOptions& o, Problem&) {
    o.selection.budget = {Budget::Kind::kMass, 0.5};
  });
  refuses("policy", [](AttendOptions& o, Problem&) { o.selection.policy = Policy::kRandom; });
  refuses("channel_bounds",
          [](AttendOptions& o, Problem&) { o.selection.policy = Policy::kQuest; });
  refuses("force_own", [](AttendOptions& o, Problem&) { o.selection.force_own = false; });
  refuses("tau", [](AttendOptions& o, Problem&) { o.selection.tau = 1.5; });
  refuses("softmax_scale", [](AttendOptions& o, Problem&) { o.softmax_scale = -1; });
  refuses("crossover", [](AttendOptions& o, Problem&) { o.crossover_tokens = -1; });
  refuses("F32", [](AttendOptions&, Problem& p) {
    p.q = Tensor::make(DType::kF32, p.q.tokens, p.q.heads, p.q.dim);
  });
  refuses("q_offsets", [](AttendOptions&, Problem& p) { p.q_offsets.back() += 1; });
  refuses("q has", [](AttendOptions&, Problem& p) {
    p.q = Tensor::make(DType::kF16, p.q.tokens, 2, p.q.dim);
  });
  EXPECT_FALSE(CudaAttendPlan::create(filled.cache, 7, 3, 1).ok());
  EXPECT_FALSE(CudaAttendPlan::create(filled.cache, 8, 0, 1).ok());
  EXPECT_FALSE(CudaAttendPlan::create(filled.cache, 8, 3, 17).ok());
}

INSTANTIATE_TEST_SUITE_P(HighTiers, DeviceLaws, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
