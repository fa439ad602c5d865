// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Calls that make no sense: refused by name (what, got, supported), with nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <new>

#include "support/custom_source.h"
#include "support/run.h"

namespace thriftattn::testing {
namespace {

constexpr std::int64_t kHuge = std::int64_t{1} << 60;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A good call, for tests to break.
struct Call {
  Problem problem =
      make_problem({.head_dim = 32, .kv_heads = 2, .group = 2, .sequences = {{130, 2}, {64, 1}}});
  FilledCache filled = fill_cache(problem);
  std::vector<SequenceId> sequences = filled.sequences;
  std::vector<std::int64_t> offsets = problem.q_offsets;
  Tensor out = Tensor::make(DType::kF32, 3, 4, 32);
  std::vector<float> lse = std::vector<float>(12, 77.0f);
  AttendReport report;
  AttendTrace trace;
  AttendTrace replay;
  AttendParams params;

  Call() {
    std::fill(out.bytes.begin(), out.bytes.end(), std::byte{0xa5});
    params.q = problem.q.view();
    params.out = out.mutable_view();
    params.lse = lse.data();
    params.report = &report;
    params.trace = &trace;
  }
  Status attend() {
    params.sequences = sequences;
    params.q_offsets = offsets;
    return thriftattn::attend(params, filled.cache);
  }
  [[nodiscard]] bool untouched() const {
    for (const std::byte b : out.bytes) {
      if (b != std::byte{0xa5}) return false;
    }
    for (const float x : lse) {
      if (x != 77.0f) return false;
    }
    return report.rows == 0 && report.blocks == 0 && trace.empty();
  }
};

struct BadCall {
  const char* name;
  StatusCode code;
  const char* message;  // POSIX regex
  std::function<void(Call&)> break_it;
};

std::ostream& operator<<(std::ostream& out, const BadCall& bad) { return out << bad.name; }

class Refused : public ::testing::TestWithParam<BadCall> {};

TEST_P(Refused, ByName) {
  Call call;
  GetParam().break_it(call);
  const Status status = call.attend();
  EXPECT_EQ(status.code(), GetParam().code) << status.message();
  EXPECT_THAT(status.message(), ::testing::ContainsRegex(GetParam().message));
  EXPECT_TRUE(call.untouched());
}

constexpr StatusCode kBad = StatusCode::kInvalidArgument;

const BadCall kShapes[] = {
    {"q_heads", kBad, "q has 3 heads.*2 kv heads", [](Call& c) { c.params.q.heads = 3; }},
    {"no_q_heads", kBad, "q has 0 heads", [](Call& c) { c.params.q.heads = 0; }},
    {"negative_q_heads", kBad, "q has -2 heads", [](Call& c) { c.params.q.heads = -2; }},
    {"huge_q_heads", kBad, "heads", [](Call& c) { c.params.q.heads = c.params.out.heads = kHuge; }},
    {"head_dim", kBad, "q is .3, 4, 48.*expected .3, 4, 32", [](Call& c) { c.params.q.dim = 48; }},
    {"q_null", kBad, "q is null", [](Call& c) { c.params.q.data = nullptr; }},
    {"q_dtype", kBad, "q dtype 77", [](Call& c) { c.params.q.dtype = static_cast<DType>(77); }},
    {"q_stride", kBad, "q strides.*31", [](Call& c) { c.params.q.head_stride = 31; }},
    {"huge_tokens", kBad, "1152921504606846974",
     [](Call& c) {
       c.params.q.tokens = c.params.out.tokens = kHuge;
       c.offsets.back() = kHuge;
     }},
    {"negative_tokens", kBad, "q_len -1",
     [](Call& c) {
       c.params.q.tokens = c.params.out.tokens = -3;
       c.offsets = {0, -1, -3};
     }},
    {"out_tokens", kBad, "out is .2, 4, 32.*expected .3, 4, 32",
     [](Call& c) { c.params.out.tokens = 2; }},
    {"out_heads", kBad, "out is .3, 2, 32", [](Call& c) { c.params.out.heads = 2; }},
    {"out_dim", kBad, "out is .3, 4, 16", [](Call& c) { c.params.out.dim = 16; }},
    {"out_null", kBad, "out is null", [](Call& c) { c.params.out.data = nullptr; }},
    {"out_dtype", kBad, "out dtype 9", [](Call& c) { c.params.out.dtype = static_cast<DType>(9); }},
    {"out_stride", kBad, "out strides.*-128", [](Call& c) { c.params.out.token_stride = -128; }},
    {"out_overlaps_itself", kBad, "out strides", [](Call& c) { c.params.out.token_stride = 32; }},
    {"no_offsets", kBad, "q_offsets has 0 entries for 2 sequences",
     [](Call& c) { c.offsets.clear(); }},
    {"few_offsets", kBad, "q_offsets has 2 entries for 2 sequences",
     [](Call& c) {
       c.offsets = {0, 3};
     }},
    {"offsets_start", kBad, "q_offsets",
     [](Call& c) {
       c.offsets = {1, 2, 3};
     }},
    {"offsets_end", kBad, "q_offsets.*3 tokens",
     [](Call& c) {
       c.offsets = {0, 1, 2};
     }},
    {"offsets_decrease", kBad, "q_offsets|q_len|-1",
     [](Call& c) {
       c.offsets = {0, 4, 3};
     }},
    {"q_longer_than_sequence", kBad, "130|131|length",
     [](Call& c) {
       c.params.q.tokens = c.params.out.tokens = 132;
       c.offsets = {0, 131, 132};
     }},
};

const BadCall kOptions[] = {
    {"fraction_above", kBad, "budget fraction 1\\.5.*0 to 1",
     [](Call& c) { c.params.options.selection.budget.value = 1.5; }},
    {"fraction_below", kBad, "budget fraction -0\\.1",
     [](Call& c) { c.params.options.selection.budget.value = -0.1; }},
    {"fraction_nan", kBad, "budget fraction.*nan",
     [](Call& c) { c.params.options.selection.budget.value = kNaN; }},
    {"mass_above", kBad, "budget mass 1\\.01",
     [](Call& c) {
       c.params.options.selection.budget = {Budget::Kind::kMass, 1.01};
     }},
    {"count_negative", kBad, "budget count -1",
     [](Call& c) {
       c.params.options.selection.budget = {Budget::Kind::kCount, -1};
     }},
    {"budget_kind", kBad, "budget kind 9",
     [](Call& c) { c.params.options.selection.budget.kind = static_cast<Budget::Kind>(9); }},
    {"k_share", kBad, "budget shares k -1",
     [](Call& c) { c.params.options.selection.budget.k_share = -1; }},
    {"v_share", kBad, "budget shares.*v .*nan",
     [](Call& c) { c.params.options.selection.budget.v_share = kNaN; }},
    {"tau_above", kBad, "tau 1\\.", [](Call& c) { c.params.options.selection.tau = 1.0; }},
    {"tau_below", kBad, "tau -0\\.01", [](Call& c) { c.params.options.selection.tau = -0.01; }},
    {"tau_nan", kBad, "tau.*nan", [](Call& c) { c.params.options.selection.tau = kNaN; }},
    {"policy", kBad, "policy 77.*fp4_mass",
     [](Call& c) { c.params.options.selection.policy = static_cast<Policy>(77); }},
    {"unit", kBad, "unit 77.*tile",
     [](Call& c) { c.params.options.selection.unit = static_cast<SelectionUnit>(77); }},
    {"mode", kBad, "mode 5.*kv4",
     [](Call& c) { c.params.options.mode = static_cast<ComputeMode>(5); }},
    {"scale_nan", kBad, "softmax_scale", [](Call& c) { c.params.options.softmax_scale = kNaN; }},
    {"scale_inf", kBad, "softmax_scale",
     [](Call& c) { c.params.options.softmax_scale = INFINITY; }},
    {"split_zero", kBad, "split_blocks 0", [](Call& c) { c.params.options.split_blocks = 0; }},
    {"split_negative", kBad, "split_blocks -4",
     [](Call& c) { c.params.options.split_blocks = -4; }},
    {"crossover", kBad, "crossover_tokens -1",
     [](Call& c) { c.params.options.crossover_tokens = -1; }},
    {"quest_without_bounds", StatusCode::kUnsupported, "quest.*channel_bounds",
     [](Call& c) { c.params.options.selection.policy = Policy::kQuest; }},
    {"replay_empty", kBad, "replay", [](Call& c) { c.params.options.replay = &c.replay; }},
    {"replay_blocks", kBad, "replay.*blocks",
     [](Call& c) {
       c.replay.resize(6);  // 3 tokens of 2 kv heads
       c.params.options.replay = &c.replay;
     }},
    {"replay_too_long", kBad, "replay has 7 units.*6",
     [](Call& c) {
       c.replay.resize(7);
       for (int u = 0; u < 6; ++u) c.replay[u].fate.resize(u < 4 ? 3 : 1);
       c.params.options.replay = &c.replay;
     }},
};

std::string case_name(const ::testing::TestParamInfo<BadCall>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Shapes, Refused, ::testing::ValuesIn(kShapes), case_name);
INSTANTIATE_TEST_SUITE_P(Options, Refused, ::testing::ValuesIn(kOptions), case_name);

TEST(Refused, TheCallToBreakIsGood) {
  Call call;
  const Status status = call.attend();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(call.untouched());
}

TEST(Refused, UnknownSequence) {
  for (const SequenceId id : {-1, 2, 1000000}) {
    Call call;
    call.sequences[1] = id;
    const Status status = call.attend();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.message(), ::testing::HasSubstr(std::to_string(id)));
    EXPECT_TRUE(call.untouched());
  }
  Call call;
  ASSERT_TRUE(call.filled.cache.free_sequence(call.sequences[0]).ok());
  EXPECT_FALSE(call.attend().ok());
  EXPECT_TRUE(call.untouched());
}

// A source may claim anything; buffers of a call are sized by the supported head_dims.
class ClaimedShape final : public KvSource {
 public:
  ClaimedShape(int kv_heads, int head_dim) : kv_heads_(kv_heads), head_dim_(head_dim) {}
  [[nodiscard]] int kv_heads() const override { return kv_heads_; }
  [[nodiscard]] int head_dim() const override { return head_dim_; }
  [[nodiscard]] std::int64_t blocks(int) const override { return 0; }
  [[nodiscard]] std::uint64_t visible(int, std::int64_t, std::int64_t) const override { return 0; }
  [[nodiscard]] std::int64_t own_block(int, std::int64_t) const override { return -1; }
  [[nodiscard]] BlockView block(int, std::int64_t, int) const override { return {}; }
  [[nodiscard]] std::int64_t low_k_bytes() const override { return 0; }
  [[nodiscard]] std::int64_t low_v_bytes() const override { return 0; }

 private:
  int kv_heads_;
  int head_dim_;
};

TEST(Refused, SourcesOfUnsupportedShape) {
  struct Shape {
    int kv_heads, head_dim;
  };
  for (const Shape shape : {Shape{0, 64}, Shape{-1, 64}, Shape{1, 0}, Shape{1, -64}, Shape{1, 16},
                            Shape{1, 40}, Shape{1, 272}, Shape{1, 512}}) {
    const ClaimedShape source(shape.kv_heads, shape.head_dim);
    std::vector<float> q(1024), out(1024, 77.0f);
    const std::int64_t offsets[] = {0, 1};
    AttendParams params;
    params.q = ConstTensorView::packed(q.data(), DType::kF32, 1, 1, shape.head_dim);
    params.out = TensorView::packed(out.data(), DType::kF32, 1, 1, shape.head_dim);
    params.q_offsets = offsets;
    const Status status = attend(params, source);
    EXPECT_FALSE(status.ok()) << shape.kv_heads << ' ' << shape.head_dim;
    for (const float x : out) ASSERT_EQ(x, 77.0f) << shape.kv_heads << ' ' << shape.head_dim;
  }
}

// Some thread meets the end of memory while others wait for its step: all of them get home.
TEST(OutOfMemory, OnAnyThread) {
  const Problem problem =
      make_problem({.head_dim = 32, .kv_heads = 3, .group = 2, .sequences = {{2000, 1}}});
  CustomSource source(problem, RowFormat::kHalf);
  const CustomSource::Visible causal = source.visible_fn;
  const Output want = run(problem, source);
  for (const int threads : {1, 2, 8}) {
    const std::unique_ptr<Executor> pool = make_thread_pool(threads);
    RunOptions options;
    options.executor = pool.get();
    for (int calls = 0; calls < 96; calls += 19) {
      std::atomic<int> left = calls;
      source.visible_fn = [&](int sequence, std::int64_t token, std::int64_t block) {
        if (left-- == 0) throw std::bad_alloc();
        return causal(sequence, token, block);
      };
      const Output output = run(problem, source, options);
      EXPECT_EQ(output.status.code(), StatusCode::kOutOfMemory) << output.status.message();
      source.visible_fn = causal;
      EXPECT_TRUE(run(problem, source, options).same_bits(want));
    }
  }
}

}  // namespace
}  // namespace thriftattn::testing
