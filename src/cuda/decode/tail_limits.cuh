// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What V is read down to: a cut, which the last step found, below a part of this step's mass. Never
// below the whole, so that the tail is no larger than if it were measured by that.
#pragma once

#include "cuda/decode/rows.cuh"
#include "cuda/decode/shared_map.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Of a row of the panel window[slot]. Absent rows never keep a block's V.
__device__ inline float limit_below(const DecodeArgs& args, const WalkPanel& panel, int row,
                                    float mass) {
  const UnitSets& sets =
      args.sets[panel.items.sequence * args.cache.kv_heads + panel.items.kv_head];
  return row < panel.items.rows ? mass + __ldg(&sets.cut_log2) : INFINITY;
}

// log2 of the masses that n warps from `first` on have left in a panel's places.
template <class T>
__device__ inline float mass_of_warps(const SharedMap<T>& map, int first, int n, int slot,
                                      int row) {
  float top = kNoReference;
  for (int w = first; w < first + n; ++w) top = fmaxf(top, map.anchor(w, slot)[row]);
  float sum = 0;
  for (int w = first; w < first + n; ++w) sum += ptx::exp2_approx(map.anchor(w, slot)[row] - top);
  return top + ptx::log2_approx(sum);
}

// By an lse that is given, or by the anchors of all warps: in all panels of the window. All threads
// call it, behind their anchors. Out of the way of the code that every call runs.
template <class T>
__device__ __noinline__ void find_limits(const DecodeArgs& args, const SharedMap<T>& map,
                                         Share& share) {
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < share.panels * kPanelRows;
       at += static_cast<int>(blockDim.x)) {
    const int slot = at / kPanelRows;
    const int row = at % kPanelRows;
    const WalkPanel& panel = share.window[slot];
    const float mass = args.tail == TailBy::kLse
                           ? __ldg(args.floor_log2 + panel.place.panel * kPanelRows + row)
                           : mass_of_warps(map, 0, map.warps(), slot, row);
    share.limits[slot][row] = limit_below(args, panel, row, mass);
  }
  __syncthreads();
}

// By the promoted blocks that the CTA has of a panel, and the sink. They come first in every piece,
// so a warp knows what its own hold when it comes to the first block that may be in the tail. Those
// that begin their run with the panel leave it for the others and wait for each other; one that
// comes from another panel is not waited for, and goes by its own where that is more.
class PanelStarters {
 public:
  __device__ PanelStarters(const Share& share, int slot) : share_(share), slot_(slot) {
    const WalkPanel& panel = share.window[slot];
    first_ = panel.first_warp + (begins(panel.first_warp) ? 0 : 1);
    count_ = panel.last_warp - first_ + 1;
  }
  [[nodiscard]] __device__ bool begins(int warp) const { return share_.run_begin[warp] == slot_; }
  [[nodiscard]] __device__ int first() const { return first_; }
  [[nodiscard]] __device__ int count() const { return count_; }

  // The one that scores the sink where none of them has it; -1: it needs no scoring. Where nobody
  // starts with the panel, the warp that has all of it does.
  [[nodiscard]] __device__ int sink_warp() const {
    const WalkPanel& panel = share_.window[slot_];
    if (panel.items.sink == 0) return -1;
    if (share_.step > 1) {
      const Piece& all = share_.pieces[0];
      return has_sink(all, 0) ? -1 : all.items() % share_.step;
    }
    const int begin =
        share_.pieces[min(first_, static_cast<int>(panel.last_warp)) + slot_].shift[kBoth];
    const Piece& last = share_.pieces[panel.last_warp + slot_];
    return has_sink(last, last.shift[kBoth] - begin) ? -1 : panel.last_warp;
  }

 private:
  // Whether the sink is in a piece or among so many items in front of it.
  [[nodiscard]] __device__ bool has_sink(const Piece& piece, int before) const {
    const int at = share_.window[slot_].items.listed() - piece.shift[kBoth];
    return -before <= at && at < piece.end[kBoth];
  }

  const Share& share_;
  int slot_;
  int first_;
  int count_;
};

// At the beginning of a window. All threads call it.
__device__ inline void start_limits(Share& share) {
  const int slot = static_cast<int>(threadIdx.x);
  if (slot < share.panels) {
    share.left[slot] = 0;
    share.sink_warp[slot] = static_cast<std::int16_t>(PanelStarters(share, slot).sink_warp());
  }
  __syncthreads();
}

// A warp's limits in the panel that it is at.
template <class T>
class WarpLimits {
 public:
  __device__ WarpLimits(const SharedMap<T>& map, int warp, int slot)
      : limits_(map.limits(warp)), left_(map.anchor(warp, slot)) {}

  // At the beginning of a panel.
  __device__ void forget(int lane) const {
    __syncwarp();
    if (lane < kPanelRows) {
      limits_[lane] = __int_as_float(kUnknown);
      left_[lane] = -INFINITY;
    }
    __syncwarp();
  }
  // Of a lane's two rows.
  [[nodiscard]] __device__ float2 of(int lane) const {
    return *reinterpret_cast<const float2*>(limits_ + 2 * (lane & 3));
  }
  [[nodiscard]] __device__ static bool is_known(const float2& limits) {
    return __float_as_int(limits.x) != kUnknown;
  }

  // When the warp has no promoted block left in the panel: makes them known, where it goes on
  // there. even, odd: log2 of what its promoted ones hold, of the lane's two rows.
  __device__ __noinline__ static void find(const DecodeArgs& args, Share& share, int slot,
                                           float even, float odd, bool goes_on) {
    const SharedMap<T> map(ptx::thread_count());
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const WarpLimits<T> mine(map, warp, slot);
    const int row = lane % kPanelRows;
    float limit;
    if (args.tail == TailBy::kPromoted) {
      const PanelStarters starters(share, slot);
      const bool begins = starters.begins(warp);
      mine.leave(even, odd, lane);
      if (begins && lane == 0) {
        __threadfence_block();
        atomicAdd(&share.left[slot], 1);
      }
      if (!goes_on) return;
      const volatile std::int32_t* left = &share.left[slot];
      while (*left < starters.count()) {
      }
      __threadfence_block();
      float mass = mass_of_warps(map, starters.first(), starters.count(), slot, row);
      // Both may have the sink: one as a block of its own, the others as their anchor.
      if (!begins) mass = fmaxf(mass, mine.left_[row]);
      limit = limit_below(args, share.window[slot], row, mass);
    } else {
      limit = share.limits[slot][row];
    }
    __syncwarp();  // all lanes have seen that they are unknown
    // NaN has no say, but does not look unknown.
    if (lane < kPanelRows) mine.limits_[lane] = limit == limit ? limit : -INFINITY;
    __syncwarp();
  }

 private:
  // The sink's mass may be there.
  __device__ void leave(float even, float odd, int lane) const {
    if (lane < 4) {
      left_[2 * lane] = add(left_[2 * lane], even);
      left_[2 * lane + 1] = add(left_[2 * lane + 1], odd);
    }
    __syncwarp();
  }
  // log2(2^a + 2^b)
  __device__ static float add(float a, float b) {
    const float top = fmaxf(fmaxf(a, b), kNoReference);
    return top + ptx::log2_approx(ptx::exp2_approx(a - top) + ptx::exp2_approx(b - top));
  }

  static constexpr int kUnknown = 0x7fc12345;  // no result has this
  float* limits_;
  float* left_;  // log2 of what is left for the other warps, by row
};

}  // namespace thriftattn::cuda
