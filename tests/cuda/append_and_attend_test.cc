// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// append_and_attend: the results of an append and an attend, wherever the append is done.
#include <algorithm>
#include <limits>

#include "cuda/cache/snapshot.h"
#include "cuda/captured.h"
#include "cuda/decode/plan.h"
#include "cuda/device_run.h"

namespace thriftattn::testing {
namespace {

struct StepsShape {
  int head_dim = 128;
  int kv_heads = 2;
  int group = 4;
  std::vector<std::int64_t> lengths = {700, 62, 128, 1, 250};
  int steps = 8;
  DType kv_dtype = DType::kF16;
  std::int64_t q_len = 1;
  Residence residence = Residence::kDevice;
  std::uint64_t seed = 0;
  int gap = 4;  // elements between rows of V
};

// A cache and the state of its steps.
struct Side {
  Side(const Problem& start, std::int64_t spare, Residence residence)
      : filled(fill_device(start, {.spare_tokens = spare, .residence = residence})),
        plan(make_plan(start, filled)),
        state(std::move(CudaAttendState::create(filled.cache, start.q.heads).value())) {}

  DeviceCache filled;
  CudaAttendPlan plan;
  CudaAttendState state;
};

class AppendAndAttend : public OnHighTier {
 protected:
  static Problem problem_of(const StepsShape& steps) {
    ProblemShape shape;
    shape.head_dim = steps.head_dim;
    shape.kv_heads = steps.kv_heads;
    shape.group = steps.group;
    shape.q_dtype = DType::kF16;
    shape.channel_bounds = true;
    shape.high_tier = GetParam();
    for (const std::int64_t length : steps.lengths) {
      shape.sequences.push_back({length, steps.q_len});
    }
    return make_problem(shape);
  }
  // The problem of a step: new rows of q. Sequence `resting` has none.
  static Problem step_of(const Problem& start, std::uint64_t seed, int resting = -1) {
    Problem problem = start;
    for (std::size_t i = 0; i < start.k.size(); ++i) {
      const bool rests = static_cast<int>(i) == resting;
      problem.q_offsets[i + 1] =
          problem.q_offsets[i] + (rests ? 0 : start.q_len(static_cast<int>(i)));
    }
    problem.q = converted(random_rows(problem.q_offsets.back(), start.q.heads, start.q.dim, seed),
                          DType::kF16);
    return problem;
  }

  static Output attend_once(Side& side, const Problem& step) {
    return run_device(step, side.filled, side.plan, {}, &side.state);
  }
  static Output append_and_attend_once(Side& side, const Problem& step, const ConstTensorView& k,
                                       const ConstTensorView& v) {
    DeviceCall call(step, side.filled.sequences, {});
    call.params.state = &side.state;
    return call.finish(append_and_attend(call.params, k, v, side.filled.cache, side.plan, {}),
                       side.plan);
  }
  void refuses_values(DType dtype);
  // Whether the last call's append came behind its attend.
  static bool append_was_behind(const Side& side) { return side.plan.impl().append_was_behind; }

  static void expect_same_traces(const Output& got, const Output& want) {
    ASSERT_EQ(got.trace.size(), want.trace.size());
    for (std::size_t u = 0; u < want.trace.size(); ++u) {
      ASSERT_EQ(got.trace[u].fate, want.trace[u].fate) << "unit " << u;
    }
  }
  static void expect_same_reports(const Output& got, const Output& want) {
    expect_same_traces(got, want);
    EXPECT_EQ(got.report.blocks, want.report.blocks);
    EXPECT_EQ(got.report.promoted_k, want.report.promoted_k);
    EXPECT_EQ(got.report.bytes_low, want.report.bytes_low);
    EXPECT_EQ(got.report.bytes_high, want.report.bytes_high);
  }

  // Steps of both kinds give results within their bounds, and leave the same caches.
  static void expect_same_steps(const StepsShape& shape, const RunOptions& options = {},
                                bool with_state = true) {
    const Problem start = problem_of(shape);
    Side apart(start, shape.steps * shape.q_len, shape.residence);
    Side together(start, shape.steps * shape.q_len, shape.residence);
    for (int i = 0; i < shape.steps; ++i) {
      const std::uint64_t seed = shape.seed + 100 * static_cast<std::uint64_t>(i);
      const Problem step = step_of(start, seed, i % 4 == 3 ? 1 : -1);
      const auto rows = [&](std::uint64_t which) {
        return converted(random_rows(step.q.tokens, shape.kv_heads, shape.head_dim, seed + which),
                         shape.kv_dtype);
      };
      const DeviceRows k = upload(rows(1));
      const DeviceRows v = upload(rows(2), shape.gap);
      const auto run = [&](Side& side, bool at_once) {
        DeviceCall call(step, side.filled.sequences, options);
        if (with_state) call.params.state = &side.state;
        call.params.refresh = i % 3 != 2;
        Status status;
        if (at_once) {
          status = append_and_attend(call.params, k.view, v.view, side.filled.cache, side.plan, {});
        } else {
          status =
              side.filled.cache.append(side.filled.sequences, step.q_offsets, k.view, v.view, {});
          if (status.ok()) status = attend(call.params, side.filled.cache, side.plan, {});
        }
        return call.finish(status, side.plan);
      };
      const Output want = run(apart, false);
      const Output got = run(together, true);
      ASSERT_TRUE(want.status.ok()) << want.status.message();
      ASSERT_TRUE(got.status.ok()) << got.status.message();
      const bool dense = options.attend.selection.budget.kind == Budget::Kind::kAll;
      const bool pairs = shape.kv_dtype != DType::kF32 && shape.gap % 2 == 0 && shape.q_len == 1;
      EXPECT_EQ(append_was_behind(together), pairs && (dense || (with_state && i > 0)));
      SCOPED_TRACE("step " + std::to_string(i));
      expect_near_rows(step, together, got, want);
      if (HasFailure()) return;
      expect_same_traces(got, want);
      const bool is_quick = shape.lengths[0] < 20'000;
      if (append_was_behind(together) && is_quick && !has_read_rows(together)) {
        expect_device_oracle(step, together.filled, options, got);
        const auto all = static_cast<double>(got.report.rows);
        EXPECT_NEAR(got.report.mass_covered / all, want.report.mass_covered / all, 1e-3);
      }
    }
    expect_same_caches(together, apart);
  }
  // Whether the call may have read a block as the rows that it still had, which an attend behind
  // the append, and the oracle, find as a nested tile: its token has filled it.
  static bool has_read_rows(const Side& side, SequenceId id) {
    return GetParam() == HighTier::kNested &&
           side.filled.cache.length(id).value() % kBlockTokens == 0;
  }
  static bool has_read_rows(const Side& side) {
    return std::ranges::any_of(side.filled.sequences,
                               [&](SequenceId id) { return has_read_rows(side, id); });
  }

  // Weights of a token that comes behind are not rounded, and panels may be cut elsewhere.
  static void expect_near_rows(const Problem& step, const Side& side, const Output& got,
                               const Output& want, std::int64_t sequence = -1) {
    for (int s = 0; s < static_cast<int>(step.k.size()); ++s) {
      if (sequence >= 0 && s != sequence) continue;
      const bool read_rows = has_read_rows(side, side.filled.sequences[s]);
      for (std::int64_t token = step.q_offsets[s]; token < step.q_offsets[s + 1]; ++token) {
        for (int h = 0; h < step.q.heads; ++h) {
          const std::int64_t row = token * step.q.heads + h;
          ASSERT_NEAR(got.lse[row], want.lse[row], read_rows ? 0.02 : 0.001) << s << ' ' << h;
          for (std::int64_t d = row * step.q.dim; d < (row + 1) * step.q.dim; ++d) {
            ASSERT_NEAR(got.out.get(d), want.out.get(d), read_rows ? 0.05 : 0.006) << s << ' ' << h;
          }
        }
      }
    }
  }

  // got_pages: that `got` took for tokens that were refused.
  static void expect_same_caches(Side& got, Side& want, std::int64_t got_pages = 0) {
    ASSERT_TRUE(got.filled.cache.synchronize({}).ok());
    ASSERT_TRUE(want.filled.cache.synchronize({}).ok());
    const std::vector<SequenceId>& ids = want.filled.sequences;
    const std::vector<std::int64_t> q_lens(ids.size(), 0);
    const auto a = cuda::snapshot(got.filled.cache, ids, q_lens, {});
    const auto b = cuda::snapshot(want.filled.cache, ids, q_lens, {});
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(got.filled.cache.free_pages() + got_pages, want.filled.cache.free_pages());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::int64_t length = want.filled.cache.length(ids[i]).value();
      ASSERT_EQ(got.filled.cache.length(ids[i]).value(), length);
      expect_same_blocks(*a.value(), *b.value(), static_cast<int>(i), length);
    }
  }
};

// Every sequence begins a block and fills one.
TEST_P(AppendAndAttend, StepsOverAWholeBlock) { expect_same_steps({.steps = 70}); }

TEST_P(AppendAndAttend, HeadDimsAndTypes) {
  for (const int head_dim : {64, 128, 256}) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      SCOPED_TRACE(std::to_string(head_dim) + " " + name_of(dtype));
      expect_same_steps({.head_dim = head_dim, .steps = 4, .kv_dtype = dtype, .seed = 3});
    }
  }
}

// Rows that cannot be read by pairs.
TEST_P(AppendAndAttend, OddStrides) { expect_same_steps({.steps = 3, .seed = 9, .gap = 3}); }

// A unit of several panels: its token is added to the rows of each.
TEST_P(AppendAndAttend, LargeGroups) {
  expect_same_steps({.group = 20, .lengths = {3000, 127, 64}, .steps = 5});
}

// More panels than a window holds, and CTAs without work.
TEST_P(AppendAndAttend, ManySequencesAndFew) {
  StepsShape many{.head_dim = 64, .kv_heads = 4, .steps = 4};
  many.lengths.assign(150, 63);
  many.lengths[20] = 9000;
  expect_same_steps(many);
  expect_same_steps({.kv_heads = 1, .lengths = {5}, .steps = 4});
}

// Units that several CTAs choose for, one of which appends.
TEST_P(AppendAndAttend, LongUnits) {
  expect_same_steps({.head_dim = 64,
                     .kv_heads = 1,
                     .lengths = {4097 * kBlockTokens + 62, 4097 * kBlockTokens + 5},
                     .steps = 4,
                     .seed = 11});
}

TEST_P(AppendAndAttend, EveryKindOfCall) {
  RunOptions options;
  options.attend.selection.budget = {Budget::Kind::kAll, 0.0};
  expect_same_steps({.seed = 1}, options);
  expect_same_steps({.lengths = {0, 130, 0}, .seed = 2}, options, false);
  options = {};
  options.attend.crossover_tokens = 200;  // of some sequences
  expect_same_steps({.seed = 3}, options);
  options = {};
  options.attend.selection.policy = Policy::kQuest;
  expect_same_steps({.seed = 4}, options);
  options = {};
  options.attend.selection.tau = 0.3;
  expect_same_steps({.seed = 5}, options);
  expect_same_steps({.seed = 6}, {}, false);  // from scratch
  expect_same_steps({.steps = 3, .q_len = 5, .seed = 7});
  expect_same_steps({.steps = 3, .residence = Residence::kPinnedHost, .seed = 8});
}

// Replays append each time, and a replay without room attends to what is there.
TEST_P(AppendAndAttend, Graphs) {
  const StepsShape shape{.lengths = {700, 63}, .steps = 70};
  const Problem start = problem_of(shape);
  Side direct(start, shape.steps, shape.residence);
  Side replayed(start, shape.steps, shape.residence);
  const Problem step = step_of(start, 5);
  DeviceCall direct_call(step, direct.filled.sequences, {});
  DeviceCall replayed_call(step, replayed.filled.sequences, {});
  direct_call.params.state = &direct.state;
  replayed_call.params.state = &replayed.state;
  const auto rows = [&](int i) {
    return converted(random_rows(step.q.tokens, 2, 128, 900 + static_cast<std::uint64_t>(i)),
                     DType::kF16);
  };
  const DeviceRows staged = upload(rows(0));
  const auto stage = [&](int i) {
    const Tensor next = rows(i);
    ASSERT_EQ(cudaMemcpy(staged.memory.data(), next.bytes.data(), next.bytes.size(),
                         cudaMemcpyHostToDevice),
              cudaSuccess);
  };
  const auto run = [&](DeviceCall& call, Side& side, CudaStream stream) {
    const Status status = append_and_attend(call.params, staged.view, staged.view,
                                            side.filled.cache, side.plan, stream);
    EXPECT_TRUE(status.ok()) << status.message();
  };
  run(direct_call, direct, {});
  run(replayed_call, replayed, {});
  ASSERT_TRUE(replayed.filled.cache.synchronize({}).ok());
  Captured graph;
  graph.capture([&] { run(replayed_call, replayed, graph.stream()); });
  EXPECT_TRUE(append_was_behind(replayed));
  for (int i = 1; i < shape.steps; ++i) {
    stage(i);
    run(direct_call, direct, {});
    const Output want = direct_call.finish({}, direct.plan);
    ASSERT_TRUE(replayed.filled.cache.reserve(replayed.filled.sequences, 1, graph.stream()).ok());
    graph.replay();
    ASSERT_TRUE(replayed.filled.cache.synchronize(graph.stream()).ok());
    const Output got = replayed_call.finish({}, replayed.plan);
    ASSERT_TRUE(got.same_bits(want)) << "replay " << i;
  }
  expect_same_caches(replayed, direct);
  // 770 tokens and 133: until the blocks are full there is room.
  for (int i = 0; i < 64; ++i) graph.replay();
  const Status status = replayed.filled.cache.synchronize(graph.stream());
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory) << status.message();
  EXPECT_EQ(replayed.filled.cache.length(replayed.filled.sequences[0]).value() % kBlockTokens, 0);
  graph.replay();
  EXPECT_FALSE(replayed.filled.cache.synchronize(graph.stream()).ok());
  const Output output = replayed_call.finish({}, replayed.plan);
  expect_device_oracle(step, replayed.filled, {}, output);
}

// Tokens that find no page change nothing: nor do they count for the sets of the next step.
TEST_P(AppendAndAttend, ReplaysWithoutRoomKeepTheirSets) {
  const StepsShape shape{.lengths = {640, 192}};
  const Problem start = problem_of(shape);
  Side replayed(start, 0, shape.residence);
  Side want(start, 0, shape.residence);
  const Problem step = step_of(start, 5);
  attend_once(replayed, step);
  attend_once(want, step);
  const DeviceRows rows = upload(converted(random_rows(2, 2, 128, 6), DType::kF16));
  DeviceCall call(step, replayed.filled.sequences, {});
  call.params.state = &replayed.state;
  Captured graph;
  graph.capture([&] {
    const Status status = append_and_attend(call.params, rows.view, rows.view,
                                            replayed.filled.cache, replayed.plan, graph.stream());
    EXPECT_TRUE(status.ok()) << status.message();
  });
  EXPECT_TRUE(append_was_behind(replayed));
  for (int i = 0; i < 2; ++i) {
    graph.replay();
    EXPECT_EQ(replayed.filled.cache.synchronize(graph.stream()).code(), StatusCode::kOutOfMemory);
    const Output got = call.finish({}, replayed.plan);
    const Output output = attend_once(want, step);
    EXPECT_TRUE(got.same_bits(output)) << "replay " << i;
    expect_same_reports(got, output);
  }
  const std::uint16_t infinity = 0x7c00;  // which is told before the room
  ASSERT_EQ(cudaMemcpy(rows.memory.data(), &infinity, sizeof infinity, cudaMemcpyHostToDevice),
            cudaSuccess);
  graph.replay();
  EXPECT_EQ(replayed.filled.cache.synchronize(graph.stream()).code(), StatusCode::kInvalidArgument);
  const Problem next = step_of(start, 7);
  const Output got = attend_once(replayed, next);
  const Output output = attend_once(want, next);
  EXPECT_TRUE(got.same_bits(output));
  expect_same_reports(got, output);
}

// What the device refuses leaves the other sequences and the cache as an append would.
void AppendAndAttend::refuses_values(DType dtype) {
  for (const std::int64_t length : {189, 191, 192}) {  // inside a block, its last token, the first
    const StepsShape shape{.lengths = {length, length}, .steps = 4};
    const Problem start = problem_of(shape);
    Side side(start, shape.steps, shape.residence);
    Side want(start, shape.steps, shape.residence);
    const Problem step = step_of(start, 1);
    const Tensor good = random_rows(2, 2, 128, 2);
    Tensor bad = good;
    bad.set(2 * 128 + 128 + 9, std::numeric_limits<double>::infinity());
    const DeviceRows k = upload(converted(good, dtype));
    const DeviceRows v = upload(converted(bad, dtype));
    attend_once(side, step);
    attend_once(want, step);
    const Output output = append_and_attend_once(side, step, k.view, v.view);
    ASSERT_TRUE(output.status.ok()) << output.status.message();
    EXPECT_EQ(append_was_behind(side), dtype == DType::kF16);
    if (append_was_behind(side)) {  // both tokens were attended to
      EXPECT_EQ(output.report.blocks, 2 * 2 * ((length + kBlockTokens) / kBlockTokens));
    }
    const Status status = side.filled.cache.synchronize({});
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    for (const char* word : {"v: value", "token 1", "kv head 1", "dim 9"}) {
      EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
    }
    const SequenceId first = want.filled.sequences[0];
    ASSERT_TRUE(want.filled.cache.append(first, slice(k.view, 0, 1), slice(k.view, 0, 1), {}).ok());
    const Output want_output = attend_once(want, step);
    expect_near_rows(step, side, output, want_output, 0);
    expect_same_caches(side, want, length % kBlockTokens == 0 ? 1 : 0);
    // The sequence goes on.
    const Problem next = step_of(start, 3);
    const Output after = attend_once(side, next);
    expect_device_oracle(next, side.filled, {}, after);
    const Output last = append_and_attend_once(side, next, k.view, k.view);
    ASSERT_TRUE(last.status.ok()) << last.status.message();
    EXPECT_TRUE(side.filled.cache.synchronize({}).ok());
    if (!has_read_rows(side)) expect_device_oracle(next, side.filled, {}, last);
  }
}
TEST_P(AppendAndAttend, RefusedValues) {
  for (const DType dtype : {DType::kF32, DType::kF16}) refuses_values(dtype);
}

// k is read before out is written.
TEST_P(AppendAndAttend, OutMayLieOverK) {
  const StepsShape shape{.lengths = {300, 130}, .steps = 1};
  const Problem start = problem_of(shape);
  Side apart(start, shape.steps, shape.residence);
  Side over(start, shape.steps, shape.residence);
  const Problem step = step_of(start, 1);
  const Tensor rows = converted(random_rows(2, 2, 128, 2), DType::kF16);
  const DeviceRows k = upload(rows);
  Output outputs[2];
  for (Side* side : {&apart, &over}) {
    attend_once(*side, step);
    DeviceCall call(step, side->filled.sequences, {});
    call.params.state = &side->state;
    ConstTensorView keys = k.view;
    if (side == &over) {
      keys.data = call.params.out.data;
      ASSERT_EQ(cudaMemcpy(call.params.out.data, rows.bytes.data(), rows.bytes.size(),
                           cudaMemcpyHostToDevice),
                cudaSuccess);
    }
    const Status status =
        append_and_attend(call.params, keys, k.view, side->filled.cache, side->plan, {});
    outputs[side == &over ? 1 : 0] = call.finish(status, side->plan);
    EXPECT_EQ(append_was_behind(*side), side == &apart);
  }
  ASSERT_TRUE(outputs[0].status.ok() && outputs[1].status.ok());
  expect_near_rows(step, over, outputs[1], outputs[0]);
  expect_same_caches(over, apart);
}

TEST_P(AppendAndAttend, ErrorsChangeNothing) {
  const StepsShape shape{.lengths = {64, 64}};
  const Problem start = problem_of(shape);
  Side side(start, 0, shape.residence);
  const Problem step = step_of(start, 1);
  const DeviceRows rows = upload(random_rows(2, 2, 128, 2));
  const std::int64_t pages = side.filled.cache.free_pages();
  const auto refuses = [&](const char* word, const ConstTensorView& k, const auto& change) {
    DeviceCall call(step, side.filled.sequences, {});
    call.params.state = &side.state;
    change(call.params);
    const Status status =
        append_and_attend(call.params, k, rows.view, side.filled.cache, side.plan, {});
    EXPECT_FALSE(status.ok()) << word;
    EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
    EXPECT_EQ(side.filled.cache.free_pages(), pages);
    EXPECT_EQ(side.filled.cache.length(side.filled.sequences[0]).value(), 64);
  };
  const auto nothing = [](CudaAttendParams&) {};
  refuses("max_tokens", rows.view, nothing);
  refuses("tokens", slice(rows.view, 0, 1), nothing);
  refuses("tau", rows.view, [](CudaAttendParams& params) { params.selection.tau = 2; });
  refuses("out is", rows.view, [](CudaAttendParams& params) { params.q.heads = 4; });
  EXPECT_TRUE(side.filled.cache.synchronize({}).ok());
}

INSTANTIATE_TEST_SUITE_P(HighTiers, AppendAndAttend, ::testing::ValuesIn(kBothTiers),
                         name_of_param);

}  // namespace
}  // namespace thriftattn::testing
