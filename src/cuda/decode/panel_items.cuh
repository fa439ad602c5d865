// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The items of a panel, what they cost and what they take.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

enum class Phase {
  kScore,   // K of every block, for masses alone
  kAttend,  // K and V
  kDense,   // K and V, all from 16-bit rows: short sequences, and 16-bit attention
};

inline constexpr int kBlockShift = 6;
static_assert(1 << kBlockShift == kBlockTokens);

// Bytes of an item in units of 256: what the line measures. Nested, a sequence's open block counts
// as if it were sealed.
template <int kHeadDim, Phase kPhase, HighTier kTier>
struct ItemCost {
  static constexpr DeviceTileLayout kLayout{kHeadDim};
  static constexpr std::uint32_t units(int bytes) {
    return static_cast<std::uint32_t>((bytes + 128) / 256);
  }
  __device__ static constexpr std::uint32_t of(int item_class) {
    constexpr bool kValues = kPhase != Phase::kScore;
    constexpr bool kNested = kTier == HighTier::kNested;
    constexpr int kHighK =
        kNested ? kLayout.k_bytes() + kLayout.residual_bytes() : kLayout.high_bytes();
    constexpr int kHighV =
        kNested ? kLayout.v_bytes() + kLayout.residual_bytes() : kLayout.high_bytes();
    constexpr int kV = kValues ? kLayout.v_bytes() : 0;
    switch (item_class) {
      case kBoth:
        return units(kValues ? kHighK + kHighV : kHighK);
      case kKeyOnly:
        return units(kHighK + kV);
      case kLow:
        return units(kLayout.k_bytes() + kV);
      default:  // more than its bytes: scores are most of the work
        return units(kLayout.k_bytes() + kV / 4);
    }
  }
};

// What a panel costs besides its items: a warp loads its rows and leaves its sums.
inline constexpr std::uint32_t kPanelCost = 16;

// What an item takes a warp, in eighths of a low block: what runs are cut by. Stages that come from
// memory in turn take longer than their bytes' part, decoded ones than their instructions'.
template <Phase kPhase, HighTier kTier>
struct ItemTime {
  __device__ static constexpr std::uint32_t of(int item_class) {
    constexpr bool kNested = kTier == HighTier::kNested;
    if (kPhase == Phase::kDense) return 8;
    switch (item_class) {
      case kBoth:
        return kNested ? 20 : 29;
      case kKeyOnly:
        return kNested ? 14 : 17;
      case kLow:
        return 8;
      default:
        return 5;
    }
  }
};
inline constexpr std::uint32_t kPanelTime = 4;

// The items of one panel: the unit's list with the forced blocks (the sink, and all from `known`
// on) behind those promoted in K and V. They hold much of the mass, and where they stand they begin
// no warp's run in another panel's end.
struct PanelItems {
  std::int32_t sequence = 0;  // id
  std::int32_t length = 0;    // tokens of the sequence
  std::int32_t known = 0;
  std::int32_t forced = 0;
  std::int32_t count[kItemClasses] = {};  // kBoth includes the forced ones
  std::int16_t entry = 0;                 // of the call's sequences
  std::int16_t kv_head = 0;
  std::int16_t first_row = 0;  // of the unit's rows
  std::int16_t rows = 0;       // up to 8
  std::int16_t q_len = 0;
  std::int16_t sink = 0;

  [[nodiscard]] __device__ int first_position() const { return length - q_len; }
  [[nodiscard]] __device__ bool is_open(int block) const {
    return kBlockTokens * (block + 1) > length;
  }
  [[nodiscard]] __device__ int items() const {
    return count[kBoth] + count[kKeyOnly] + count[kLow] + count[kTail];
  }
  // Items in front of the forced ones.
  [[nodiscard]] __device__ int listed() const { return count[kBoth] - forced; }
  [[nodiscard]] __device__ bool is_forced(int item) const {
    return item >= listed() && item < count[kBoth];
  }
  // Block of a forced item.
  [[nodiscard]] __device__ int forced_block(int item) const {
    const int at = item - listed();
    return at < sink ? 0 : known + at - sink;
  }
  // Where another item stands in the list.
  [[nodiscard]] __device__ int list_index(int item) const {
    return item < count[kBoth] ? item : item - forced;
  }
};

// What the cut needs to know of a unit's sets.
struct KnownSets {
  std::int32_t known = 0;
  std::int32_t sink = 0;
  std::int32_t count[kItemClasses] = {};

  __device__ void load(const UnitSets* sets) {
    known = __ldg(&sets->known);
    sink = __ldg(&sets->sink);
#pragma unroll
    for (int c = 0; c < kItemClasses; ++c) count[c] = __ldg(&sets->count[c]);
  }
};

// Which of the call's sequences a panel belongs to: the last that begins at or before it.
__device__ inline int entry_of(const CallShape& shape, int panel) {
  int low = 0;
  if (shape.panels_each > 0) {
    low = static_cast<int>(static_cast<unsigned>(panel) / static_cast<unsigned>(shape.panels_each));
  } else {
    for (int high = shape.batch; high - low > 1;) {
      const int middle = (low + high) / 2;
      (shape.panel_begin[middle] <= panel ? low : high) = middle;
    }
  }
  return low;
}

template <Phase kPhase>
__device__ inline PanelItems panel_items(const DecodeArgs& args, int panel) {
  const CallShape& shape = args.shape;
  const int low = entry_of(shape, panel);
  PanelItems items;
  items.entry = static_cast<std::int16_t>(low);
  items.sequence = shape.sequence[low];
  const int q_len = shape.q_begin[low + 1] - shape.q_begin[low];
  const int unit_rows = q_len * shape.group;
  const unsigned tiles = static_cast<unsigned>(unit_rows + kPanelRows - 1) / kPanelRows;
  const unsigned local = static_cast<unsigned>(panel - shape.panel_begin[low]);
  const unsigned kv_head = local / tiles;
  const int first_row = static_cast<int>(local - kv_head * tiles) * kPanelRows;
  items.q_len = static_cast<std::int16_t>(q_len);
  items.kv_head = static_cast<std::int16_t>(kv_head);
  items.first_row = static_cast<std::int16_t>(first_row);
  items.rows = static_cast<std::int16_t>(min(kPanelRows, unit_rows - first_row));
  items.length = __ldg(args.cache.lengths + items.sequence);
  KnownSets sets;  // loaded whether needed or not: side by side with the length
  if constexpr (kPhase == Phase::kAttend) {
    sets.load(args.sets + items.sequence * args.cache.kv_heads + kv_head);
  }

  const int blocks =
      static_cast<int>(static_cast<unsigned>(items.length + kBlockTokens - 1) / kBlockTokens);
  const int first_own = items.first_position() >> kBlockShift;  // -1 where there is no token
  const bool dense = items.length < args.crossover;
  if constexpr (kPhase == Phase::kScore) {  // no sets to go by
    items.known = dense ? 0 : max(first_own, 0);
    items.sink = static_cast<std::int16_t>(items.known > 0 ? args.sink : 0);
    items.count[kLow] = items.known - items.sink;
  } else if (kPhase == Phase::kAttend && !dense && sets.known <= first_own) {
    // Sets that reach into this call's own blocks are of another sequence or step: not used.
    items.known = sets.known;
    items.sink = static_cast<std::int16_t>(sets.known > 0 ? sets.sink : 0);
#pragma unroll
    for (int c = 0; c < kItemClasses; ++c) items.count[c] = sets.known > 0 ? sets.count[c] : 0;
  }
  items.forced = items.sink + blocks - items.known;
  items.count[kBoth] += items.forced;
  return items;
}

template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ inline std::uint32_t panel_cost(const PanelItems& items) {
  std::uint32_t cost = kPanelCost;
#pragma unroll
  for (int c = 0; c < kItemClasses; ++c) {
    cost += static_cast<std::uint32_t>(items.count[c]) * ItemCost<kHeadDim, kPhase, kTier>::of(c);
  }
  return cost;
}

// Brings a panel's list and block table into L2 while the share is worked out, each CTA a line or
// two of them.
template <Phase kPhase>
__device__ inline void prefetch_lists(const DecodeArgs& args, const PanelItems& items) {
  constexpr int kLine = 128;
  const int blocks = (items.length + kBlockTokens - 1) / kBlockTokens;
  const std::size_t sequence = static_cast<std::size_t>(items.sequence);
  const auto* table =
      reinterpret_cast<const std::byte*>(args.cache.block_table + sequence * args.cache.max_blocks);
  for (int at = blockIdx.x * kLine; at < 4 * blocks; at += gridDim.x * kLine) {
    ptx::prefetch_l2(table + at);
  }
  if constexpr (kPhase != Phase::kAttend) return;
  const std::size_t unit = sequence * args.cache.kv_heads + items.kv_head;
  const auto* list = reinterpret_cast<const std::byte*>(args.lists + unit * args.cache.max_blocks);
  const int last = gridDim.x - 1 - blockIdx.x;  // not the CTAs that have the table
  for (int at = last * kLine; at < 2 * items.known; at += gridDim.x * kLine) {
    ptx::prefetch_l2(list + at);
  }
}

}  // namespace thriftattn::cuda
