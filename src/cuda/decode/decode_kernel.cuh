// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One step of decoding: every block of every panel once, each in its tiers.
//
// Grid: one CTA an SM, whatever the call; a CTA's share of the bytes is make_share's. Each warp
// walks its own items: K through one ring, and behind it V through another, so that a block whose
// mass needs no V never asks for it. Partial sums of a panel are merged by the last CTA that has
// one. Bytes: of a block at head_dim 128, K 4992 and V 4736 in the low tier, 16384 each as rows,
// 4608 each as residuals. Bound by memory, then by issue slots: docs/kernels/sm90a.md.
#pragma once

#include "cuda/decode/key_stream.cuh"
#include "cuda/decode/merge.cuh"
#include "cuda/decode/ring.cuh"
#include "cuda/decode/rows.cuh"
#include "cuda/decode/stages.cuh"
#include "cuda/decode/tail_limits.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Weights that wait for their V, at most the items before this one and this one.
template <class T>
struct Pending {
  typename TileMath<T::kHeadDim>::Weights p = {};
  int cell = 0;    // of V: page and kv head
  int stages = 0;  // 0: no V, else Stages<T>::of_value
  int asked = 0;
};

template <class T>
class Warp {
 public:
  using Math = TileMath<T::kHeadDim>;
  using KeyRing = Ring<T::kKeyStages, T::kKeyStageBytes>;
  static constexpr int kValueStages = T::kValues ? T::kValueStages : 1;
  using ValueRing = Ring<kValueStages, T::kValueStageBytes>;

  __device__ Warp(const DecodeArgs& args, Share& share, const SharedMap<T>& map, KeyRing& keys,
                  ValueRing& values)
      : args_(args),
        share_(share),
        keys_(keys),
        values_(values),
        stream_(args, share, map.labels(warp()), keys),
        map_(map),
        lane_(static_cast<int>(threadIdx.x & 31)) {}

  // All of this warp's items of a panel: rows and sums are then what they add up to.
  __device__ void run_panel(Walk<T>& walk) {
    rows_.load(args_, walk.items(), lane_);
    if constexpr (T::kCutsTail) {
      if (!walk.at_anchor()) limits(walk).forget(lane_);
    }
    if (has_tail_sums(walk)) tail_sums(walk)[0] = tail_sums(walk)[1] = 0;
    int left = walk.items_of_warp();
    if (left == 0) rows_.sum[0] = rows_.sum[1] = 0;
    if (walk.at_anchor() && left == 0 && lane_ < kPanelRows) {
      map_.anchor(warp(), walk.slot())[lane_] = -INFINITY;
    }
#pragma unroll
    for (int i = 0; i < Math::kSteps; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums_[i][e] = 0;
    }
    Pending<T> older;
    Pending<T> newer;
    for (;; --left) {
      if (left > 0) score_and_weigh(walk, older, newer);
      if constexpr (T::kValues) {
        add_values(walk.items(), older, newer);
        older = newer;
        newer = {};
      }
      if (left <= 0) return;
    }
  }

  // Behind run_panel().
  __device__ void end_panel(const Walk<T>& walk) {
    if constexpr (T::kCutsTail) {
      if (args_.tail == TailBy::kPromoted && !WarpLimits<T>::is_known(limits(walk).of(lane_))) {
        find_warp_limits(walk, false);
      }
    }
    const WalkPanel& panel = walk.at();
    leave_piece<T>(args_, map_, warp() + walk.slot(), panel.goes_on && warp() == panel.last_warp,
                   panel.items, rows_, sums_);
  }

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }

  // A low tile or, where the item has one, its residual: another operand, in units of
  // 2^-kResidualShift of the low tile's, whose scores it is added to.
  __device__ void score_codes(std::uint32_t tile, int stage, int stages, typename Math::Scores& s,
                              Logits& logits) const {
    Math::template score_low<T::kNested>(tile, rows_.q, s, lane_);
    if (T::kNested && stage == kResidualStage) return;
    logits = low_logits(tile);
    if constexpr (T::kNested) {
      if (stages == 1) return;
#pragma unroll
      for (int i = 0; i < 16; ++i) s[i / 4][i % 4] *= kResidualUp;
      logits.up[0] *= 1 / kResidualUp;
      logits.up[1] *= 1 / kResidualUp;
    }
  }

  // How scores of a low tile's codes become weights that meet codes of V.
  __device__ Logits low_logits(std::uint32_t tile) const {
    float m[2];
    Math::score_mean(tile, rows_.q, m, lane_);
    const float2 header = ptx::load_shared_float2(tile + T::kLayout.k_header());
    const float up = header.x * kCodeUp;
    return {{rows_.factor[0] * up, rows_.factor[1] * up},
            {m[0] * rows_.factor[0], m[1] * rows_.factor[1]},
            header.y,
            kWeightDownLog2};
  }

  // One item up to its weights. Stages are asked for and consumed at one place in the code: the
  // loop must stay small enough for the instruction cache.
  __device__ void score_and_weigh(const Walk<T>& walk, Pending<T>& older, Pending<T>& newer) {
    const PanelItems& items = walk.items();
    typename Math::Scores s;
    if constexpr (T::kNested) Math::clear(s);
    Logits logits;
    Item item{};
#pragma unroll 1
    for (int stage = 0, stages = 1; stage < stages; ++stage) {
      stream_.fill(lane_);
      if (rows_.is_raw()) rows_.prepare(args_, items, lane_);
      if constexpr (T::kValues) {
        if (stage == 0 && older.stages == 0) ask_ahead(newer);
      }
      const std::uint32_t tile = keys_.wait();
      item = stream_.label();
      stages = Stages<T>::of_key(item);
      if (!Stages<T>::are_rows(stages)) {
        score_codes(tile, stage, stages, s, logits);
      } else {
        logits = {{rows_.factor[0], rows_.factor[1]}, {0, 0}, 0, kWeightDownLog2};
        float t[4];
        Math::score_high(tile, rows_.q, t, lane_);
#pragma unroll
        for (int mt = 0; mt < kQuarters; ++mt) {
#pragma unroll
          for (int e = 0; e < 4; ++e) s[mt][e] = mt == stage ? t[e] : s[mt][e];
        }
      }
      keys_.release();
    }
    if (item.item_class() < kLow) {
      if (!T::kNested && item.item_class() == kKeyOnly) logits.exponent = item.v_exponent();
      if (kBlockTokens * (item.block() + 1) > items.first_position() + 1) {
        rows_.mask(s, items, args_.shape.group, item.block(), 0, lane_);
      }
    }
    if (!Stages<T>::are_rows(Stages<T>::of_value(item))) {
      logits.down -= kCodeUpLog2 + logits.exponent;
    }
    float part[2];
    while (!rows_.weigh(s, logits, newer.p, part)) {
      if (!raise_reference(walk, s, logits, older)) break;
    }
    account(walk, item, part, newer);
  }

  // Raises the references to this block's largest, and brings there what is summed, and the weights
  // that still wait for V. False where none moved.
  __device__ bool raise_reference(const Walk<T>& walk, const typename Math::Scores& s,
                                  const Logits& logits, Pending<T>& older) {
    float factor[2];
    const bool moves = rows_.raise(s, logits, {INFINITY, INFINITY}, factor);
    Math::scale(sums_, factor);
    if (has_tail_sums(walk)) {
      tail_sums(walk)[0] *= factor[0];
      tail_sums(walk)[1] *= factor[1];
    }
    const int g = lane_ >> 2;  // the row of this lane's weights
    const float even = __shfl_sync(~0u, factor[0], g / 2);
    const float odd = __shfl_sync(~0u, factor[1], g / 2);
    const float mine = g % 2 ? odd : even;
    const std::uint32_t pair = ptx::pack_half2(mine, mine);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      older.p[i / 4][i % 4] = ptx::multiply_half2(older.p[i / 4][i % 4], pair);
    }
    return moves;
  }

  // Sums and records the masses of a block, and decides whether its V is read.
  __device__ void account(const Walk<T>& walk, const Item& item, const float (&part)[2],
                          Pending<T>& newer) {
    const PanelItems& items = walk.items();
    const auto cell =
        static_cast<std::uint32_t>(walk.panel() * args_.cache.max_blocks + item.block());
    const float mass[2] = {rows_.reference[0] + ptx::log2_approx(part[0]),
                           rows_.reference[1] + ptx::log2_approx(part[1])};
    if (T::kCutsTail && item.is_anchor()) {
      if (lane_ < 4) {
        map_.anchor(warp(), walk.slot())[2 * lane_] = mass[0];
        map_.anchor(warp(), walk.slot())[2 * lane_ + 1] = mass[1];
      }
      return;
    }
    if (lane_ < 4) {
      reinterpret_cast<float2*>(args_.masses)[cell * (kPanelRows / 2) + lane_] =
          make_float2(mass[0], mass[1]);
    }
    if constexpr (!T::kValues) {
      rows_.sum[0] += part[0];
      rows_.sum[1] += part[1];
      return;
    }
    if constexpr (T::kCutsTail) {
      if (item.item_class() >= kLow && is_tail(walk, mass)) {
        if (lane_ == 0) args_.fates[cell] = kFateVisible | kFateTail;
        add_to_tail(walk, part);
        return;
      }
    }
    rows_.sum[0] += part[0];
    rows_.sum[1] += part[1];
    newer.stages = Stages<T>::of_value(item);
    newer.cell = item.cell;
  }

  // Sums of the tail's weights are kept apart, in shared memory: they are rarely touched. At
  // anchors, where all warps go through the same panels, their places are not one warp's.
  [[nodiscard]] __device__ bool has_tail_sums(const Walk<T>& walk) const {
    return T::kCutsTail && lane_ < 4 && !walk.at_anchor();
  }
  [[nodiscard]] __device__ float* tail_sums(const Walk<T>& walk) const {
    return map_.states(warp() + walk.slot()).sum(0) + 2 * (lane_ & 3);
  }
  __device__ void add_to_tail(const Walk<T>& walk, const float (&part)[2]) {
    if (lane_ >= 4) return;
    tail_sums(walk)[0] += part[0];
    tail_sums(walk)[1] += part[1];
  }

  // Whether the block's mass is below the limit in every row. Rows of NaN have no say.
  __device__ bool is_tail(const Walk<T>& walk, const float (&mass)[2]) const {
    float2 limit = limits(walk).of(lane_);
    if (!WarpLimits<T>::is_known(limit)) {
      find_warp_limits(walk, true);
      limit = limits(walk).of(lane_);
    }
    return !__any_sync(~0u, mass[0] >= limit.x || mass[1] >= limit.y);
  }
  [[nodiscard]] __device__ WarpLimits<T> limits(const Walk<T>& walk) const {
    return {map_, warp(), walk.slot()};
  }
  // From the blocks so far; goes_on: others follow.
  __device__ void find_warp_limits(const Walk<T>& walk, bool goes_on) const {
    WarpLimits<T>::find(args_, share_, walk.slot(),
                        rows_.reference[0] + ptx::log2_approx(rows_.sum[0]),
                        rows_.reference[1] + ptx::log2_approx(rows_.sum[1]), goes_on);
  }

  // sums += V p of the older weights. V is asked for in the order in which it is used: the older
  // item's first, then the newer's as far as the ring takes it.
  __device__ void add_values(const PanelItems& items, Pending<T>& older, Pending<T>& newer) {
    if (older.stages == 0 || (T::kValueStages > 1 && older.asked == older.stages)) ask(newer);
#pragma unroll 1
    for (int stage = 0; stage < older.stages; ++stage) {
      const std::uint32_t tile = values_.wait();
      if (!Stages<T>::are_rows(older.stages)) {
        if (!T::kNested || stage != kResidualStage) {
          Math::weigh_tokens(tile, older.p, lane_);
        } else {
          Math::weigh_residual(older.p);
        }
        Math::value_low(tile, older.p, sums_, lane_);
      } else {
        const bool second = stage % 2 != 0;
        const std::uint32_t(&p)[4] = older.p[0];
        const std::uint32_t(&r)[4] = older.p[1];
        const std::uint32_t p0 = stage < 2 ? (second ? p[2] : p[0]) : (second ? r[2] : r[0]);
        const std::uint32_t p1 = stage < 2 ? (second ? p[3] : p[1]) : (second ? r[3] : r[1]);
        Math::value_high(tile, p0, p1, sums_, lane_);
      }
      values_.release();
      ask(older);
      if (older.asked == older.stages) ask(newer);
    }
  }

  // V that is read whatever the weights are is asked for before they are known, where the ring is
  // empty: at the beginning of a panel.
  __device__ void ask_ahead(Pending<T>& pending) {
    const Item item = stream_.label();
    if (T::kCutsTail && (item.is_anchor() || item.item_class() >= kLow)) return;
    pending.stages = Stages<T>::of_value(item);
    pending.cell = item.cell;
    ask(pending);
  }

  __device__ void ask(Pending<T>& pending) {
#pragma unroll 1
    while (pending.asked < pending.stages && !values_.full()) {
      const Stage stage = Stages<T>::value(args_.cache, static_cast<std::size_t>(pending.cell),
                                           pending.stages, pending.asked);
      values_.fill(stage.from, stage.bytes, lane_);
      ++pending.asked;
    }
  }

  const DecodeArgs& args_;
  Share& share_;
  Rows<T> rows_;
  typename Math::Sums sums_;  // times 2^(reference + 3); unused when scoring
  KeyRing& keys_;
  ValueRing& values_;
  KeyStream<T> stream_;
  SharedMap<T> map_;
  int lane_;
};

// The barriers of a warp's rings; only one thread touches them.
template <class T>
__device__ inline void init_rings(const SharedMap<T>& map) {
  if (threadIdx.x % 32 != 0) return;
  const std::uint32_t first = map.barriers(static_cast<int>(threadIdx.x) / 32);
#pragma unroll
  for (int i = 0; i < T::kKeyStages + T::kValueStages; ++i) ptx::barrier_init(first + 8 * i, 1);
  ptx::barrier_init_fence();
}
template <class T>
__device__ inline void invalidate_rings(const SharedMap<T>& map) {
  if (threadIdx.x % 32 != 0) return;
  const std::uint32_t first = map.barriers(static_cast<int>(threadIdx.x) / 32);
#pragma unroll
  for (int i = 0; i < T::kKeyStages + T::kValueStages; ++i) ptx::barrier_invalidate(first + 8 * i);
}

// A warp's part of the window, up to what it leaves of it.
template <class T>
__device__ __forceinline__ void run_window(const DecodeArgs& args, const SharedMap<T>& map,
                                           Share& share) {
  using W = Warp<T>;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  typename W::KeyRing keys(map.ring(warp), map.barriers(warp));
  typename W::ValueRing values(map.ring(warp) + T::kKeyStages * T::kKeyStageBytes,
                               map.barriers(warp) + T::kKeyStages * 8);
  Walk<T> walk(args, share);
  W worker(args, share, map, keys, values);
  bool has_limits = !T::kCutsTail;
  if (T::kCutsTail && args.tail == TailBy::kPromoted) {
    start_limits(share);
    has_limits = true;
  }
  while (true) {
    const bool more = walk.next_panel();
    if constexpr (T::kCutsTail) {
      if (!has_limits && !(more && walk.at_anchor())) {
        find_limits<T>(args, map, share);
        has_limits = true;
      }
    }
    if (!more) break;
    worker.run_panel(walk);
    if (!walk.at_anchor()) worker.end_panel(walk);
  }
}

template <class T>
__global__ void __launch_bounds__(T::kMaxWarps * 32, 1)
    decode_kernel(const __grid_constant__ DecodeArgs args) {
  const SharedMap<T> map(static_cast<int>(blockDim.x));
  init_rings(map);
  ptx::wait_for_previous_kernel();
  __shared__ Share share;
  make_share<T::kHeadDim, T::kPhase, T::kTier>(args, map.scratch(), share);
  if (share.panels == 0) return;
  while (true) {
    run_window<T>(args, map, share);
    Merge<T>(args, share).run();
    if (share.is_last_window()) return;
    // A share of very many short panels: the window moves on, and the rings begin anew. They are
    // filled by the copy engine, also where sums were.
    invalidate_rings(map);
    init_rings(map);
    ptx::fence_async_proxy();
    const PanelPlace& last = share.window[share.panels - 1].place;
    move_window<T::kHeadDim, T::kPhase, T::kTier>(args, last.panel + 1, last.end(), share);
  }
}

}  // namespace thriftattn::cuda
