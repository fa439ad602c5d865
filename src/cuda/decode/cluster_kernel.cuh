// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Everything in 16-bit rows, where cluster_size() finds this faster than panels that are cut. With
// little to read, what counts is how long one thing waits for another.
//
// Grid: a cluster of args.parts CTAs a panel. They take its blocks in turn, and the warps of a CTA
// the quarters of these. So nothing has to be cut, a warp knows its pages before it knows the
// lengths, and warps read side by side what lies side by side. docs/kernels/sm90a.md has the times.
#pragma once

#include "cuda/decode/cluster_merge.cuh"
#include "cuda/decode/ring.cuh"
#include "cuda/decode/rows.cuh"
#include "cuda/decode/traits.cuh"

namespace thriftattn::cuda {

// Blocks of a CTA whose pages the lanes of a warp look up at once, and whose masses are put
// together at once.
inline constexpr int kClusterWindow = 32;

// log2 of the masses of a window's quarters.
using QuarterMasses = float[kClusterWindow][kQuarters][kPanelRows];

// What a CTA has of a panel: every step-th block, from its own number on.
struct ClusterPart {
  int panel;
  int entry;  // of the call's sequences
  int first;  // block
  int step;
  int count;  // of blocks

  [[nodiscard]] __device__ int block(int i) const { return first + i * step; }
  [[nodiscard]] __device__ int quarters() const { return count * kQuarters; }
};

// Pages of a part's blocks: those of a window and of the next one, a lane each.
class PartPages {
 public:
  // Needs no length: what lies behind the sequence's end is not used.
  __device__ PartPages(const DecodeArgs& args, const ClusterPart& part)
      : args_(args), part_(part), pages_{look_up(lane()), look_up(lane() + kClusterWindow)} {}

  // i: block of the part, of this window or the next. All lanes call it.
  [[nodiscard]] __device__ int page(int i) const {
    return __shfl_sync(~0u, i < end_ ? pages_[0] : pages_[1], i % kClusterWindow);
  }
  __device__ void next_window() {
    pages_[0] = pages_[1];
    pages_[1] = look_up(lane() + end_ + kClusterWindow);
    end_ += kClusterWindow;
  }

 private:
  static_assert(kClusterWindow == 32);
  [[nodiscard]] __device__ static int lane() { return static_cast<int>(threadIdx.x) & 31; }
  [[nodiscard]] __device__ int look_up(int i) const {
    const int block = part_.block(i);
    if (block >= args_.cache.max_blocks) return -1;
    return args_.cache.page(args_.shape.sequence[part_.entry], block);
  }

  const DecodeArgs& args_;
  const ClusterPart& part_;
  int pages_[2];
  int end_ = kClusterWindow;  // of the window
};

template <class T>
class ClusterWarp {
 public:
  using Math = TileMath<T::kHeadDim>;

  // Asks for the first quarters, and then for q.
  __device__ ClusterWarp(const DecodeArgs& args, const PanelItems& items, const ClusterPart& part,
                         PartPages& pages, const SharedMap<T>& map)
      : args_(args),
        items_(items),
        part_(part),
        pages_(pages),
        map_(map),
        keys_(map.ring(warp()), map.barriers(warp())),
        values_(map.ring(warp()) + T::kKeyStages * T::kKeyStageBytes,
                map.barriers(warp()) + T::kKeyStages * 8),
        next_key_(warp()),
        next_value_(warp()),
        lane_(static_cast<int>(threadIdx.x) & 31) {
    ask();
    rows_.load(args_, items_, lane_);
#pragma unroll
    for (int i = 0; i < Math::kSteps; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums_[i][e] = 0;
    }
    rows_.prepare(args_, items_, lane_);
  }

  // Adds the warp's quarters of a window, whose last block is in front of `end`.
  __device__ void run(int& at, int end, QuarterMasses& masses) {
#pragma unroll 1
    for (; at < end * kQuarters; at += map_.warps()) {
      const int i = at / kQuarters;
      add_quarter(part_.block(i), at % kQuarters, masses[i % kClusterWindow][at % kQuarters]);
      ask();
    }
  }
  __device__ void leave() const {
    leave_piece<T>(args_, map_, warp(), false, items_, rows_, sums_);
  }

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }

  // Asks for quarters as far as the rings take them.
  __device__ void ask() {
    ask(args_.cache.high_k, next_key_, keys_);
    ask(args_.cache.high_v, next_value_, values_);
  }
  template <class Ring>
  __device__ void ask(const std::byte* rows, int& next, Ring& ring) {
    constexpr int kBytes = T::kLayout.quarter_bytes();
#pragma unroll 1
    while (next < part_.quarters() && !ring.full()) {
      const std::size_t cell = args_.cache.cell(pages_.page(next / kQuarters), items_.kv_head);
      ring.fill(rows + (cell * kQuarters + static_cast<unsigned>(next) % kQuarters) * kBytes,
                kBytes, lane_);
      next += map_.warps();
    }
  }

  __device__ void add_quarter(int block, int quarter, float (&mass)[kPanelRows]) {
    float s[1][4];
    const std::uint32_t k = keys_.wait();
    Math::score_high(k, rows_.q, s[0], lane_);
    keys_.release();
    if (kBlockTokens * (block + 1) > items_.first_position() + 1) {
      rows_.mask(s, items_, args_.shape.group, block, quarter, lane_);
    }
    std::uint32_t p[1][4];
    float sum[2];
    weigh(s, p, sum);
    rows_.sum[0] += sum[0];
    rows_.sum[1] += sum[1];
    if (lane_ < 4) {
      mass[2 * lane_] = rows_.reference[0] + ptx::log2_approx(sum[0]);
      mass[2 * lane_ + 1] = rows_.reference[1] + ptx::log2_approx(sum[1]);
    }
    const std::uint32_t v = values_.wait();
    Math::value_high(v, p[0][0], p[0][1], sums_, lane_);
    values_.release();
  }

  // The first scores need a reference before they are weighed, others where their row's sum
  // overflows: a row's result does not depend on the other rows.
  __device__ void weigh(const float (&s)[1][4], std::uint32_t (&p)[1][4], float (&sum)[2]) {
    const Logits logits{{rows_.factor[0], rows_.factor[1]}, {0, 0}, 0, kWeightDownLog2};
    bool rises = is_first_;
    is_first_ = false;
    sum[0] = sum[1] = INFINITY;
#pragma unroll 1
    while (true) {
      bool moves = true;
      if (rises) {
        float factor[2];
        moves = rows_.raise(s, logits, sum, factor);
        Math::scale(sums_, factor);
      }
      if (rows_.weigh(s, logits, p, sum) || !moves) return;
      rises = true;
    }
  }

  const DecodeArgs& args_;
  const PanelItems& items_;
  const ClusterPart& part_;
  PartPages& pages_;
  const SharedMap<T>& map_;
  Ring<T::kKeyStages, T::kKeyStageBytes> keys_;
  Ring<T::kValueStages, T::kValueStageBytes> values_;
  int next_key_;  // quarters to be asked for
  int next_value_;
  bool is_first_ = true;
  Rows<T> rows_;
  typename Math::Sums sums_;
  int lane_;
};

// Masses of the blocks [begin, end) of a part, a window, from those of their quarters. All threads
// call it.
__device__ inline void write_masses(const DecodeArgs& args, const ClusterPart& part, int begin,
                                    int end, const QuarterMasses& masses) {
  for (int i = static_cast<int>(threadIdx.x); i < (end - begin) * kPanelRows;
       i += static_cast<int>(blockDim.x)) {
    const auto& quarters = masses[i / kPanelRows];
    const int row = i % kPanelRows;
    float top = quarters[0][row];
    for (int q = 1; q < kQuarters; ++q) top = fmaxf(top, quarters[q][row]);
    float sum = 0;
    for (int q = 0; q < kQuarters; ++q) sum += ptx::exp2_approx(quarters[q][row] - top);
    const std::size_t cell = static_cast<std::size_t>(part.panel) * args.cache.max_blocks +
                             part.block(begin + i / kPanelRows);
    args.masses[cell * kPanelRows + row] = top == -INFINITY ? top : top + ptx::log2_approx(sum);
    if (row == 0) args.fates[cell] = kFateVisible | kFateForced;
  }
}

// T: traits of Phase::kDense with 16-bit rows.
template <class T>
__global__ void __launch_bounds__(T::kMaxWarps * 32, 1)
    cluster_kernel(const __grid_constant__ DecodeArgs args) {
  static_assert(T::kPhase == Phase::kDense && !T::kNested);
  __shared__ QuarterMasses masses[2];
  __shared__ ClusterInbox<T> inbox;
  const SharedMap<T> map(static_cast<int>(blockDim.x));
  ClusterMerge<T>::open(inbox, args.parts);
  init_rings(map);
  ptx::wait_for_previous_kernel();
  const int panel = static_cast<int>(blockIdx.x) / args.parts;
  ClusterPart part{panel, entry_of(args.shape, panel), static_cast<int>(blockIdx.x) % args.parts,
                   args.parts, 0};
  PartPages pages(args, part);
  const PanelItems items = panel_items<T::kPhase>(args, panel);
  const int blocks = (items.length + kBlockTokens - 1) / kBlockTokens;
  part.count = (max(blocks - part.first, 0) + part.step - 1) / part.step;
  ClusterWarp<T> worker(args, items, part, pages, map);
  int begin = 0;
  int end = min(part.count, kClusterWindow);
  for (int at = static_cast<int>(threadIdx.x) / 32;;) {
    QuarterMasses& of_window = masses[begin / kClusterWindow % 2];
    worker.run(at, end, of_window);
    if (end == part.count) break;
    __syncthreads();
    write_masses(args, part, begin, end, of_window);
    pages.next_window();
    begin = end;
    end = min(part.count, end + kClusterWindow);
  }
  const int warps = min(map.warps(), max(1, part.quarters()));  // that have a piece
  if (static_cast<int>(threadIdx.x) < 32 * warps) worker.leave();
  const ClusterMerge<T> merge(args, items, panel, part.first, args.parts, inbox, map);
  merge.run(warps,
            [&] { write_masses(args, part, begin, end, masses[begin / kClusterWindow % 2]); });
}

}  // namespace thriftattn::cuda
