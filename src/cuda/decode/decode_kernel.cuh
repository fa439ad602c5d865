// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One step of decoding: every block of every panel once, each in its tiers.
//
// Grid: one CTA an SM, whatever the call; a CTA's share of the bytes is make_share's. Each warp
// walks its own items: K through one ring, and behind it V through another, so that a block whose
// mass needs no V never asks for it. Partial sums of a panel are merged by the last CTA that has
// one. Bytes: of a block at head_dim 128, K 4896 and V 4672 in the low tier, 16384 each in the high
// tier. Bound by memory, then by issue slots: docs/kernels/sm90a.md.
#pragma once

#include "cuda/decode/merge.cuh"
#include "cuda/decode/ring.cuh"
#include "cuda/decode/rows.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Runs ahead of the warp through its items and asks for their K. What each stage of the ring holds
// stands in `labels`, shared memory of the warp.
template <class T>
class KeyStream {
 public:
  using KeyRing = Ring<T::kKeyStages, T::kKeyStageBytes>;

  __device__ KeyStream(const DecodeArgs& args, const Share& share, WalkPanel& own, Item* labels,
                       KeyRing& ring)
      : args_(args), walk_(args, share, own), labels_(labels), ring_(ring) {
    more_ = walk_.next_panel();
  }

  // Fills the ring as far as there are items.
  __device__ void fill(int lane) {
    while (!ring_.full()) {
      while (more_ && !walk_.has_item()) more_ = walk_.next_panel();
      if (!more_) return;
      const Item item = walk_.item();
      const std::size_t cell = args_.cache.cell(item.page, walk_.items().kv_head);
      const bool low = item.item_class >= kLow;
      const int bytes = low ? T::kLayout.k_bytes() : T::kLayout.quarter_bytes();
      const std::byte* from =
          low ? args_.cache.low_k + cell * T::kLayout.k_bytes()
              : args_.cache.high_k + cell * T::kLayout.high_bytes() + quarter_ * bytes;
      if (lane == 0) labels_[ring_.next()] = item;
      ring_.fill(from, bytes, lane);
      if (!low && ++quarter_ < kQuarters) continue;
      quarter_ = 0;
      walk_.advance();
    }
  }

  // Of the stage that the ring's wait() gives; also read before the wait, by all lanes.
  [[nodiscard]] __device__ Item label() const { return labels_[ring_.oldest()]; }

 private:
  const DecodeArgs& args_;
  Walk<T> walk_;
  Item* labels_;
  KeyRing& ring_;
  int quarter_ = 0;
  bool more_;
};

// Weights that wait for their V, at most the items before this one and this one.
template <class T>
struct Pending {
  typename TileMath<T::kHeadDim>::Weights p = {};
  int cell = 0;    // of V: page and kv head
  int stages = 0;  // 0: no V, 1: low tier, 4: high tier
  int asked = 0;
};

template <class T>
class Warp {
 public:
  using Math = TileMath<T::kHeadDim>;
  using KeyRing = Ring<T::kKeyStages, T::kKeyStageBytes>;
  static constexpr int kValueStages = T::kValues ? T::kValueStages : 1;
  using ValueRing = Ring<kValueStages, T::kValueStageBytes>;

  __device__ Warp(const DecodeArgs& args, const Share& share, const SharedMap<T>& map,
                  KeyRing& keys, ValueRing& values)
      : args_(args),
        keys_(keys),
        values_(values),
        stream_(args, share, map.walk(warp()), map.labels(warp()), keys),
        map_(map),
        lane_(static_cast<int>(threadIdx.x & 31)) {}

  __device__ void start() { stream_.fill(lane_); }

  // All of this warp's items of a panel: rows and sums are then what they add up to.
  __device__ void run_panel(Walk<T>& walk) {
    rows.load(args_, walk.items(), lane_);
    if constexpr (T::kValues) {
      if (args_.tail) find_floor(walk);
    }
#pragma unroll
    for (int i = 0; i < Math::kSteps; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][e] = 0;
    }
    Pending<T> older;
    for (int left = walk.items_of_warp();; --left) {
      Pending<T> newer;
      if (left > 0) score_and_weigh(walk, older, newer);
      if constexpr (T::kValues) {
        ask(older, newer);
        add_values(older, newer);
        older = newer;
      }
      if (left <= 0) return;
    }
  }

  Rows<T> rows;
  typename Math::Sums sums;  // times 2^(reference + 3); unused when scoring

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }

  // What the tail of a panel is measured by: an lse that is given, or that of the anchors; the cut
  // goes into it. Left in shared memory for all warps.
  __device__ void find_floor(const Walk<T>& walk) {
    const PanelItems& items = walk.items();
    const UnitSets& sets = sets_of(items);
    const int row = static_cast<int>(threadIdx.x);
    if (args_.floor_log2 == nullptr) {
      float mass[2] = {-INFINITY, -INFINITY};
      if (items.known > 0 && warp() < sets.anchors) anchor_mass(items, sets.anchor[warp()], mass);
      if (lane_ < 4) {
        map_.state(warp())[2 * lane_] = mass[0];
        map_.state(warp())[2 * lane_ + 1] = mass[1];
      }
      __syncthreads();
    }
    if (row < kPanelRows) {
      float floor = 0;
      if (args_.floor_log2 != nullptr) {
        floor = __ldg(args_.floor_log2 + walk.panel() * kPanelRows + row);
      } else {
        const float top = top_reference(map_, row);
#pragma unroll
        for (int w = 0; w < T::kMaxWarps; ++w) {
          if (w < map_.warps()) floor += ptx::exp2_approx(map_.state(w)[row] - top);
        }
        floor = top + ptx::log2_approx(floor);
      }
      // Absent rows never keep a block's V.
      map_.limits()[row] = row < items.rows ? floor + __ldg(&sets.cut_log2) : INFINITY;
    }
    __syncthreads();
  }

  // log2 of the sum of weights of one block, from the low tier.
  __device__ void anchor_mass(const PanelItems& items, int block, float (&mass)[2]) {
    const int page = args_.cache.page(items.sequence, block);
    values_.fill(args_.cache.low_k + args_.cache.cell(page, items.kv_head) * T::kLayout.k_bytes(),
                 T::kLayout.k_bytes(), lane_);
    typename Math::Scores s;
    const std::uint32_t tile = values_.wait();
    const Logits logits = score_low_tile(tile, s);
    float top[2];
    rows.find_top(s, logits, top);
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      float sum = 0;
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float x = fmaf(s[i / 2][i % 2 * 2 + c], logits.up[c], logits.mean[c]);
        sum += ptx::exp2_approx(x + logits.exponent - top[c]);
      }
#pragma unroll
      for (int d = 4; d < 32; d *= 2) sum += __shfl_xor_sync(~0u, sum, d);
      mass[c] = top[c] - logits.exponent + ptx::log2_approx(sum);
    }
    values_.release();
  }

  __device__ Logits score_low_tile(std::uint32_t tile, typename Math::Scores& s) const {
    Math::score_low(tile, rows.q, s, lane_);
    float m[4];
    Math::score_mean(tile, rows.q, m, lane_);
    const float2 header = ptx::load_shared_float2(tile + T::kLayout.k_header());
    const float up = header.x * kCodeUp;
    return {{rows.factor[0] * up, rows.factor[1] * up},
            {m[0] * rows.factor[0], m[1] * rows.factor[1]},
            header.y,
            kWeightDownLog2};
  }

  [[nodiscard]] const __device__ UnitSets& sets_of(const PanelItems& items) const {
    return args_.sets[items.sequence * args_.cache.kv_heads + items.kv_head];
  }

  __device__ void score_and_weigh(const Walk<T>& walk, Pending<T>& older, Pending<T>& newer) {
    const PanelItems& items = walk.items();
    typename Math::Scores s;
    Logits logits{{rows.factor[0], rows.factor[1]}, {0, 0}, 0, kWeightDownLog2};
    const std::uint32_t first = keys_.wait();
    const Item item = stream_.label();
    if (item.item_class >= kLow) {
      logits = score_low_tile(first, s);
      next_key();
    } else {
      if (item.item_class == kKeyOnly) logits.exponent = item.v_exponent;
#pragma unroll
      for (int quarter = 0; quarter < kQuarters; ++quarter) {
        Math::score_high(quarter == 0 ? first : keys_.wait(), rows.q, s[quarter], lane_);
        next_key();
      }
      if (kBlockTokens * (item.block + 1) > items.first_position() + 1) {
        rows.mask(s, items, args_.shape.group, item.block, lane_);
      }
    }
    if (item.item_class != kBoth) logits.down -= kCodeUpLog2 + logits.exponent;
    float part[2];
    if (!rows.weigh(s, logits, newer.p, part)) {
      raise_reference(s, logits, older);
      rows.weigh(s, logits, newer.p, part);
    }
    account(walk, item, part, newer);
  }

  __device__ void next_key() {
    keys_.release();
    stream_.fill(lane_);
  }

  // Moves the reference of rows to this block's largest where that is higher; weights that still
  // wait for V move too. The reference is a whole number, so that factors are powers of two.
  __device__ void raise_reference(const typename Math::Scores& s, const Logits& logits,
                                  Pending<T>& older) {
    float top[2];
    rows.find_top(s, logits, top);
    float factor[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float reference =
          top[c] > rows.reference[c] ? ceilf(top[c]) : rows.reference[c];  // NaN moves nothing
      factor[c] = ptx::exp2_approx(rows.reference[c] - reference);
      rows.reference[c] = reference;
      rows.sum[c] *= factor[c];
      rows.sum_used[c] *= factor[c];
#pragma unroll
      for (int i = 0; i < Math::kSteps; ++i) {
        sums[i][c] *= factor[c];
        sums[i][2 + c] *= factor[c];
      }
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
  }

  // Sums and records the masses of a block, and decides whether its V is read.
  __device__ void account(const Walk<T>& walk, const Item& item, const float (&part)[2],
                          Pending<T>& newer) {
    const PanelItems& items = walk.items();
    const std::size_t cell =
        static_cast<std::size_t>(walk.panel()) * args_.cache.max_blocks + item.block;
    float mass[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      rows.sum[c] += part[c];
      mass[c] = rows.reference[c] + ptx::log2_approx(part[c]);
    }
    if (lane_ < 4) {
      reinterpret_cast<float2*>(args_.masses)[cell * (kPanelRows / 2) + lane_] =
          make_float2(mass[0], mass[1]);
    }
    if constexpr (!T::kValues) return;
    bool tail = false;
    if (args_.tail && item.item_class >= kLow) tail = is_tail(mass);
    const bool high_v = item.item_class == kBoth;
    if (lane_ == 0) args_.fates[cell] = fate(items, item, tail);
    if (tail) return;
    rows.sum_used[0] += part[0];
    rows.sum_used[1] += part[1];
    newer.stages = high_v ? kQuarters : 1;
    newer.cell = static_cast<int>(args_.cache.cell(item.page, items.kv_head));
  }

  // Whether the block's mass is below the limit in every row. Rows of NaN have no say.
  __device__ bool is_tail(const float (&mass)[2]) const {
    const float* limits = map_.limits() + 2 * (lane_ & 3);
    return !__any_sync(~0u, mass[0] >= limits[0] || mass[1] >= limits[1]);
  }

  __device__ static std::uint8_t fate(const PanelItems& items, const Item& item, bool tail) {
    const bool forced = item.block >= items.known || (items.sink != 0 && item.block == 0);
    int bits = kFateVisible;
    if (forced) bits |= kFateForced;
    if (!forced && item.item_class <= kKeyOnly) bits |= kFatePromotedK;
    if (!forced && item.item_class == kBoth) bits |= kFatePromotedV;
    if (tail) bits |= kFateTail;
    return static_cast<std::uint8_t>(bits);
  }

  // Asks for as much V as the ring takes, in the order in which it will be used.
  __device__ void ask(Pending<T>& older, Pending<T>& newer) {
    ask_one(older);
    if (older.asked == older.stages) ask_one(newer);
  }
  __device__ void ask_one(Pending<T>& pending) {
    while (pending.asked < pending.stages && !values_.full()) {
      const auto cell = static_cast<std::size_t>(pending.cell);
      if (pending.stages == 1) {
        values_.fill(args_.cache.low_v + cell * T::kLayout.v_bytes(), T::kLayout.v_bytes(), lane_);
      } else {
        const int bytes = T::kLayout.quarter_bytes();
        values_.fill(args_.cache.high_v + cell * T::kLayout.high_bytes() + pending.asked * bytes,
                     bytes, lane_);
      }
      ++pending.asked;
    }
  }

  // sums += V p of the older weights.
  __device__ void add_values(Pending<T>& older, Pending<T>& newer) {
    if (older.stages == 1) {
      const std::uint32_t tile = values_.wait();
      Math::weigh_tokens(tile, older.p, lane_);
      Math::value_low(tile, older.p, sums, lane_);
      values_.release();
      ask(older, newer);
    } else if (older.stages == kQuarters) {
#pragma unroll
      for (int quarter = 0; quarter < kQuarters; ++quarter) {
        const std::uint32_t(&p)[4] = older.p[quarter / 2];
        const int j = quarter % 2 * 2;
        Math::value_high(values_.wait(), p[j], p[j + 1], sums, lane_);
        values_.release();
        ask(older, newer);
      }
    }
  }

  const DecodeArgs& args_;
  KeyRing& keys_;
  ValueRing& values_;
  KeyStream<T> stream_;
  SharedMap<T> map_;
  int lane_;
};

template <class T>
__global__ void __launch_bounds__(T::kMaxWarps * 32, 1)
    decode_kernel(const __grid_constant__ DecodeArgs args) {
  extern __shared__ __align__(128) std::byte shared[];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  const SharedMap<T> map(shared, warps);

  using W = Warp<T>;
  typename W::KeyRing keys(map.ring(warp), map.barriers(warp));
  typename W::ValueRing values(map.ring(warp) + T::kKeyStages * T::kKeyStageBytes,
                               map.barriers(warp) + T::kKeyStages * 8);
  if (threadIdx.x % 32 == 0) {
    keys.init();
    if constexpr (T::kValues) values.init();
    ptx::barrier_init_fence();
  }
  ptx::wait_for_previous_kernel();
  __shared__ Share share;
  make_share<T::kHeadDim, T::kPhase>(args, map.scratch(), share);
  Walk<T> walk(args, share, map.walk(warps));
  W worker(args, share, map, keys, values);
  worker.start();
  while (walk.next_panel()) {
    worker.run_panel(walk);
    merge_panel<T>(args, map, walk, worker.rows, worker.sums);
  }
  ptx::launch_next_kernel();
}

}  // namespace thriftattn::cuda
