// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One panel through the four steps of a call. Score, rescore and value are cut into splits (runs of
// blocks) that may run on different threads; select and finish are short and serial.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/buffer.h"
#include "engine/kernel_table.h"
#include "engine/plan.h"
#include "engine/product.h"
#include "selection/rank.h"
#include "thriftattn/attention.h"

namespace thriftattn::engine {

// What is the same for every panel of a call.
struct CallContext {
  const KvSource* source = nullptr;
  const KernelTable* kernels = nullptr;
  const AttendOptions* options = nullptr;
  ConstTensorView q;
  TensorView out;
  float* lse = nullptr;
  const std::int64_t* q_offsets = nullptr;
  float scale = 0;
};

// Which operand a run of rows meets in a block.
enum class Pass : std::uint8_t {
  kLow,      // the low tier
  kHigh,     // the high tier
  kRescore,  // the high tier, of rows whose low-tier scores are kept
  kValue,    // V, in the tier of each row
};

// Scratch of one thread.
struct ThreadScratch {
  ProductScratch product;
  Buffer<float> weights;  // [rows, 64] of one block
  std::vector<const float*> a;
  std::vector<float*> c;
  std::vector<int> low, high;  // rows by tier
};

class Panel {
 public:
  // Gathers q, visibility and blocks; decides everything that needs no scores.
  void prepare(const CallContext& call, const PanelPlan& plan);
  [[nodiscard]] int splits() const { return splits_; }

  void score(int split, ThreadScratch& scratch);    // step 1
  void select();                                    // step 2
  void rescore(int split, ThreadScratch& scratch);  // step 3
  void settle();                                    // masses after rescoring; the tail
  void value(int split, ThreadScratch& scratch);    // step 4
  void finish(AttendReport* report, AttendTrace* trace);

 private:
  struct Range {
    std::int64_t begin, end;
  };
  [[nodiscard]] Range blocks_of(int split) const;
  [[nodiscard]] std::uint64_t mask(int row, std::int64_t block) const {
    return masks_[static_cast<std::size_t>(row / plan_.q_heads) * blocks_ + block];
  }
  [[nodiscard]] std::uint8_t& fate(int unit, std::int64_t block) {
    return fate_[static_cast<std::size_t>(unit) * blocks_ + block];
  }
  [[nodiscard]] float* scores(std::int64_t block, int row) {
    return scores_.data() + (block * rows_ + row) * kBlockTokens;
  }
  void gather_masks();
  void gather_q();
  void quantise_q();
  void force(int unit);
  void replay(int unit);
  void promote(int unit);
  // The unit as selection sees it: blocks that are visible and have none of the bits of `skip` are
  // marked.
  [[nodiscard]] selection::UnitView unit_view(int unit, std::uint8_t skip);
  void compute_masses();
  void prefetch_after(std::int64_t block, std::int64_t end, Pass pass) const;
  void score_rows(std::int64_t block, const std::vector<int>& rows, Pass pass,
                  ThreadScratch& scratch);
  void value_rows(std::int64_t block, const std::vector<int>& rows, bool high, int split,
                  ThreadScratch& scratch);
  void weigh_row(std::int64_t block, int row, bool high, int split, float* p);
  void write_row(int row);
  void add_report(AttendReport& report);
  void add_bytes(std::uint8_t fate, const BlockView& view, AttendReport& report) const;

  const CallContext* call_ = nullptr;
  PanelPlan plan_;
  int rows_ = 0, units_ = 0, head_dim_ = 0, splits_ = 0;
  std::int64_t blocks_ = 0;  // blocks that some row may see are below this
  bool selected_ = false;    // fates are known before any score
  bool low_q_ = false;       // kW4a4: low-tier scores use q_low_

  std::vector<std::uint64_t> masks_;          // [tokens, blocks]
  std::vector<std::int64_t> own_blocks_;      // [tokens]
  std::vector<BlockView> views_;              // [blocks]
  std::vector<std::uint8_t> fate_;            // [units, blocks]
  std::vector<std::uint8_t> dense_;           // [units], below the crossover: all high, no tail
  std::vector<std::uint8_t> marked_;          // [blocks], of unit_view
  std::vector<const float*> q_rows_;          // [rows of a unit], of unit_view
  std::vector<double> rank_;                  // [blocks]
  Buffer<float> q_, q_low_;                   // [rows, head_dim], softmax scale applied
  Buffer<float> scores_;                      // [blocks, rows, 64]
  Buffer<float> maximum_, sum_;               // [blocks, rows] of each block
  Buffer<float> masses_;                      // [blocks, rows]
  Buffer<float> out_;                         // [splits, rows, head_dim]
  std::vector<float> used_;                   // [splits, rows], sum of the weights that met V
  std::vector<float> row_maximum_, row_sum_;  // [rows], over everything visible
};

}  // namespace thriftattn::engine
