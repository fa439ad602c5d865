// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which blocks a step with a state leaves in the tail, whatever it measures them by.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/decode/plan.h"
#include "cuda/device_run.h"

namespace thriftattn::testing {
namespace {

using cuda::TailBy;

class DeviceTail : public OnHighTier {};

// What a call left of its blocks, and the sets that it went by.
class Blocks {
 public:
  Blocks(const CudaAttendPlan::Impl& plan, std::vector<cuda::UnitSets> sets)
      : plan_(plan),
        sets_(std::move(sets)),
        masses_(read_back<float>(plan.masses)),
        fates_(read_back<std::uint8_t>(plan.fates)),
        lse_(read_back<float>(plan.row_lse)) {}

  // Calls use(fate, shares of the rows, the unit's sets, the share of block 0) of each block of
  // each panel; shares are log2 of the softmax mass.
  template <class Use>
  void for_each(Use use) const {
    const cuda::CallShape& shape = plan_.last;
    for (int entry = 0; entry < shape.batch; ++entry) {
      const int rows = (shape.q_begin[entry + 1] - shape.q_begin[entry]) * shape.group;
      const int tiles = (rows + cuda::kPanelRows - 1) / cuda::kPanelRows;
      for (int p = shape.panel_begin[entry]; p < shape.panel_begin[entry + 1]; ++p) {
        const int local = p - shape.panel_begin[entry];
        const int present = std::min(cuda::kPanelRows, rows - local % tiles * cuda::kPanelRows);
        const cuda::UnitSets& sets =
            sets_[static_cast<std::size_t>(shape.sequence[entry] * plan_.kv_heads + local / tiles)];
        const std::vector<float> sink = shares(p, 0, present);
        for (int b = sets.sink; b < sets.known; ++b) {
          use(fates_[cell(p, b)], shares(p, b, present), sets, sink);
        }
      }
    }
  }

 private:
  [[nodiscard]] std::size_t cell(int panel, int block) const {
    return static_cast<std::size_t>(panel) * static_cast<std::size_t>(plan_.max_blocks) +
           static_cast<std::size_t>(block);
  }
  [[nodiscard]] std::vector<float> shares(int panel, int block, int rows) const {
    std::vector<float> all;
    for (int r = 0; r < rows; ++r) {
      all.push_back(masses_[cell(panel, block) * cuda::kPanelRows + static_cast<std::size_t>(r)] -
                    lse_[static_cast<std::size_t>(panel * cuda::kPanelRows + r)]);
    }
    return all;
  }

  const CudaAttendPlan::Impl& plan_;
  std::vector<cuda::UnitSets> sets_;
  std::vector<float> masses_;
  std::vector<std::uint8_t> fates_;
  std::vector<float> lse_;
};

// With a state V of the tail is left out where that saves time, and not in a call this small.
TEST_P(DeviceTail, ATailThatDoesNotPayIsRead) {
  const Problem problem = make_problem({.head_dim = 128,
                                        .kv_heads = 2,
                                        .group = 4,
                                        .sequences = {{2100, 1}, {130, 2}, {1, 1}},
                                        .q_dtype = DType::kF16,
                                        .high_tier = GetParam()});
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  RunOptions options;
  options.attend.selection.tau = 0.9;  // blocks of random data weigh much the same
  for (const bool always : {true, false}) {
    Result<CudaAttendState> state = CudaAttendState::create(filled.cache, problem.q.heads);
    ASSERT_TRUE(state.ok()) << state.status().message();
    run_device(problem, filled, plan, options, &state.value(), always);
    const Output output = run_device(problem, filled, plan, options, &state.value(), always);
    EXPECT_EQ(output.report.tail_share() > 0, always);
    expect_device_oracle(problem, filled, options, output);
  }
}

// Panels of many CTAs and CTAs of many panels; of these some lie in a warp that comes from another.
std::vector<ProblemShape> tail_shapes(HighTier tier) {
  std::vector<SequenceShape> ragged, same;
  for (int i = 0; i < 30; ++i) ragged.push_back({200 + 60 * i, 1});
  for (int i = 0; i < 90; ++i) same.push_back({330, 1});
  const auto shape = [&](int head_dim, int kv_heads, int group,
                         std::vector<SequenceShape> sequences) {
    return ProblemShape{.head_dim = head_dim,
                        .kv_heads = kv_heads,
                        .group = group,
                        .sequences = std::move(sequences),
                        .data = DataKind::kSink,
                        .q_dtype = DType::kF16,
                        .high_tier = tier};
  };
  return {shape(128, 2, 4, {{2100, 1}, {130, 2}, {1, 1}}),
          shape(64, 8, 1, ragged),
          shape(64, 16, 2, same),
          shape(64, 1, 2, {{45000, 1}}),
          shape(128, 2, 9, {{9000, 1}, {12000, 2}}),
          shape(256, 3, 2, {{7000, 1}, {65, 1}, {3000, 1}})};
}

// In the tail lie blocks below the cut alone, and all those that are below it measured by the sink.
TEST_P(DeviceTail, LiesBelowTheCut) {
  constexpr float kOfLowTile = 0.5f;  // what an anchor's score may be off by
  for (const TailBy by : {TailBy::kAnchors, TailBy::kPromoted}) {
    int checked = 0;
    for (const ProblemShape& shape : tail_shapes(GetParam())) {
      const Problem problem = make_problem(shape);
      SCOPED_TRACE("by " + std::to_string(static_cast<int>(by)) + ", first length " +
                   std::to_string(problem.kv_len(0)) + ", kv heads " +
                   std::to_string(shape.kv_heads));
      const DeviceCache filled = fill_device(problem);
      CudaAttendPlan plan = make_plan(problem, filled);
      plan.impl().tail_by = by;
      RunOptions options;
      options.attend.selection.tau = 0.02;
      std::vector<Output> outputs;
      for (int run = 0; run < 2; ++run) {
        Result<CudaAttendState> state = CudaAttendState::create(filled.cache, problem.q.heads);
        ASSERT_TRUE(state.ok()) << state.status().message();
        run_device(problem, filled, plan, options, &state.value());
        const std::vector<cuda::UnitSets> sets =
            read_back<cuda::UnitSets>(state.value().impl().sets.sets);
        outputs.push_back(run_device(problem, filled, plan, options, &state.value()));
        ASSERT_TRUE(outputs[run].status.ok()) << outputs[run].status.message();
        int in_tail = 0, above = 0, left_out = 0, small = 0;
        Blocks(plan.impl(), sets)
            .for_each([&](unsigned fate, const std::vector<float>& shares,
                          const cuda::UnitSets& unit, const std::vector<float>& sink) {
              if ((fate & (kFateForced | kFatePromotedK)) != 0) return;
              const bool tail = (fate & kFateTail) != 0;
              bool is_small = true;
              for (std::size_t r = 0; r < shares.size(); ++r) {
                if (tail && shares[r] > unit.cut_log2 + kOfLowTile) ++above;
                is_small &= shares[r] < unit.cut_log2 + sink[r] - kOfLowTile;
              }
              in_tail += tail ? 1 : 0;
              small += is_small ? 1 : 0;
              left_out += is_small && !tail ? 1 : 0;
            });
        EXPECT_EQ(above, 0) << "of " << in_tail << " in the tail";
        EXPECT_EQ(left_out, 0) << "of " << small << " below the cut";
        checked += small;
      }
      EXPECT_TRUE(outputs[1].same_bits(outputs[0]));
      if (problem.k.size() <= 3) expect_device_oracle(problem, filled, options, outputs[0]);
    }
    EXPECT_GT(checked, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(HighTiers, DeviceTail, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
