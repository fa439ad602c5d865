// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Cuts the work of a call into equal shares of bytes, one for each CTA. Lengths and sets live on
// the device, so every CTA computes the same cut for itself. A share is a range of a line on which
// all panels lie one after the other, and in a panel each class of items side by side.
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

// What a panel costs besides its items: rows to load, sums to merge. About two microseconds.
inline constexpr std::uint32_t kPanelCost = 256;

// The items of one panel: first the forced blocks (the sink, and all from `known` on), then the
// unit's list.
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
  [[nodiscard]] __device__ int items() const {
    return count[kBoth] + count[kKeyOnly] + count[kLow] + count[kTail];
  }
  // Block of a forced item.
  [[nodiscard]] __device__ int forced_block(int item) const {
    return item < sink ? 0 : known + item - sink;
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

template <Phase kPhase>
__device__ inline PanelItems panel_items(const DecodeArgs& args, int panel) {
  const CallShape& shape = args.shape;
  int low = 0;  // the last entry that begins at or before the panel
  for (int high = shape.batch; high - low > 1;) {
    const int middle = (low + high) / 2;
    (shape.panel_begin[middle] <= panel ? low : high) = middle;
  }
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
  const int first_own =
      static_cast<int>(static_cast<unsigned>(items.first_position()) / kBlockTokens);
  const bool dense = items.length < args.crossover;
  if constexpr (kPhase == Phase::kScore) {  // no sets to go by
    items.known = dense ? 0 : first_own;
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

// A CTA's items of a panel: a run of each class, in the order of the panel. Item k of the CTA is
// item k + shift of the panel, where shift belongs to the first class with k < end.
struct Slices {
  std::int32_t end[kItemClasses];
  std::int32_t shift[kItemClasses];

  [[nodiscard]] __device__ int items() const { return end[kItemClasses - 1]; }
};

// Items of a class that lie before a place on the panel's part of the line. Each class is spread
// over the line evenly, a little apart from the others, so that equal parts hold equal mixtures.
__device__ inline int items_before(int count, int item_class, std::uint32_t at,
                                   std::uint32_t cost) {
  if (at >= cost) return count;
  const float part =
      static_cast<float>(at - min(at, kPanelCost)) / static_cast<float>(cost - kPanelCost);
  return min(count, static_cast<int>(fmaf(static_cast<float>(count), part,
                                          0.75f - 0.25f * static_cast<float>(item_class))));
}

// What lies in [from, to) of a panel's part of the line.
__device__ inline Slices slice_panel(const PanelItems& items, std::uint32_t from, std::uint32_t to,
                                     std::uint32_t cost) {
  Slices slices;
  int first = 0;  // of the class, in the panel
  int total = 0;
#pragma unroll
  for (int c = 0; c < kItemClasses; ++c) {
    const int begin = items_before(items.count[c], c, from, cost);
    const int end = items_before(items.count[c], c, to, cost);
    slices.shift[c] = first + begin - total;
    slices.end[c] = total += end - begin;
    first += items.count[c];
  }
  return slices;
}

// A panel, its place on the line and the CTAs that have a part of it.
struct WalkPanel {
  PanelItems items;
  std::int32_t panel;
  std::uint32_t begin;
  std::uint32_t cost;
  std::int32_t first_cta;
  std::int32_t ctas;
  Slices slices;
};

inline constexpr int kWindowPanels = 24;  // at most a warp's lanes
// Shares of whole parts of a panel are taken where they are at most this much uneven: a CTA with
// the end of one panel and the beginning of the next merges twice.
inline constexpr std::uint32_t kUnevenPercent = 6;
inline constexpr std::uint32_t kShortShare = 12000;  // beyond it the unevenness costs more

// This CTA's share [begin, end) of the line, and a window on its panels.
struct Share {
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t whole;  // length of a share; the first `longer` CTAs have one more
  std::uint32_t longer;
  std::int32_t first;   // panel of window[0]
  std::int32_t panels;  // of the window that are in the share
  WalkPanel window[kWindowPanels];

  // The CTA whose share holds a place.
  [[nodiscard]] __device__ int cta_of(std::uint32_t at) const {
    const std::uint32_t edge = longer * (whole + 1);
    return static_cast<int>(at < edge ? at / (whole + 1) : longer + (at - edge) / whole);
  }
};

// Sums over the threads of a CTA: what comes before this thread, and all. scratch: [32] words.
struct ThreadSum {
  std::uint32_t before;
  std::uint32_t all;
};
__device__ inline ThreadSum sum_over_threads(std::uint32_t mine, std::uint32_t* scratch) {
  const unsigned lane = threadIdx.x & 31;
  const unsigned warp = threadIdx.x / 32;
  std::uint32_t before = mine;
#pragma unroll
  for (unsigned d = 1; d < 32; d *= 2) {
    const std::uint32_t other = __shfl_up_sync(~0u, before, d);
    if (lane >= d) before += other;
  }
  __syncthreads();  // scratch may be in use
  if (lane == 31) scratch[warp] = before;
  __syncthreads();
  const std::uint32_t sum = lane < blockDim.x / 32 ? scratch[lane] : 0;
  return {before - mine + __reduce_add_sync(~0u, lane < warp ? sum : 0),
          __reduce_add_sync(~0u, sum)};
}

// Whole parts: every panel gets CTAs of its own, in proportion. Tells whether that is even enough;
// all threads call it, with the cost of their panel, if they have one.
__device__ inline bool share_whole_parts(std::uint32_t cost, unsigned panels, std::uint32_t total,
                                         std::uint32_t line_begin, PanelItems& items,
                                         std::uint32_t* scratch, Share& share) {
  const unsigned thread = threadIdx.x;
  const unsigned ctas = gridDim.x;
  if (panels > ctas || panels > blockDim.x || total / ctas > kShortShare) return false;
  const bool has_panel = thread < panels;
  const std::uint32_t parts =
      has_panel ? 1 + static_cast<std::uint32_t>(std::uint64_t{cost} * (ctas - panels) / total) : 0;
  const bool even = !has_panel || std::uint64_t{cost} * ctas * 100 <=
                                      std::uint64_t{total} * parts * (100 + kUnevenPercent);
  if (!__syncthreads_and(even)) return false;
  const ThreadSum sum = sum_over_threads(parts, scratch);
  if (thread == 0 && blockIdx.x >= sum.all) share.panels = 0;  // nothing is left for this CTA
  if (has_panel && blockIdx.x >= sum.before && blockIdx.x < sum.before + parts) {
    const std::uint32_t part = blockIdx.x - sum.before;
    share.begin = line_begin + static_cast<std::uint32_t>(std::uint64_t{cost} * part / parts);
    share.end = line_begin + static_cast<std::uint32_t>(std::uint64_t{cost} * (part + 1) / parts);
    share.first = static_cast<int>(thread);
    share.panels = 1;
    share.window[0] = {items,
                       static_cast<int>(thread),
                       line_begin,
                       cost,
                       static_cast<int>(sum.before),
                       static_cast<int>(parts),
                       slice_panel(items, share.begin - line_begin, share.end - line_begin, cost)};
  }
  __syncthreads();
  return true;
}

// Moves the window to where panel `first` begins on the line; all threads call it. Panels of the
// window are worked out side by side, by one warp.
template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ inline void move_window(const DecodeArgs& args, int first, std::uint32_t line_begin,
                                   Share& share) {
  __syncthreads();  // the window is read by nobody
  const int lane = static_cast<int>(threadIdx.x);
  if (lane < 32) {
    const int panel = first + lane;
    const bool exists = lane < kWindowPanels && panel < args.shape.panels;
    PanelItems items;
    if (exists) items = panel_items<kPhase>(args, panel);
    const std::uint32_t cost = exists ? panel_cost<kHeadDim, kPhase, kTier>(items) : 0;
    std::uint32_t at = cost;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
      const std::uint32_t other = __shfl_up_sync(~0u, at, d);
      if (lane >= d) at += other;
    }
    at += line_begin - cost;
    const bool inside = exists && at < share.end && at + cost > share.begin;
    const unsigned all_inside = __ballot_sync(~0u, inside);
    if (inside) {
      const int first_cta = share.cta_of(at);
      const int ctas = share.cta_of(at + cost - 1) - first_cta + 1;
      const Slices slices =
          slice_panel(items, max(share.begin, at) - at, min(share.end, at + cost) - at, cost);
      share.window[lane + 1 - __ffs(static_cast<int>(all_inside))] = {items,     panel, at,    cost,
                                                                      first_cta, ctas,  slices};
    }
    if (lane == 0) share.panels = __popc(all_inside);
  }
  __syncthreads();
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

// All threads of the CTA call this. scratch: [32] words of shared memory, as `share` is. A thread
// works out a run of panels; where that is one, it does so once.
template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ inline void make_share(const DecodeArgs& args, std::uint32_t* scratch, Share& share) {
  const unsigned threads = blockDim.x;
  const unsigned thread = threadIdx.x;
  const unsigned panels = static_cast<unsigned>(args.shape.panels);
  const unsigned run = panels <= threads ? 1 : (panels + threads - 1) / threads;
  const unsigned first = min(thread * run, panels);
  const unsigned last = min(first + run, panels);
  PanelItems items;
  std::uint32_t mine = 0;
#pragma unroll 2
  for (unsigned p = first; p < last; ++p) {
    items = panel_items<kPhase>(args, static_cast<int>(p));
    mine += panel_cost<kHeadDim, kPhase, kTier>(items);
  }
  if (run == 1 && first < last) prefetch_lists<kPhase>(args, items);
  const auto [before, total] = sum_over_threads(mine, scratch);
  if (share_whole_parts(mine, panels, total, before, items, scratch, share)) return;

  const std::uint32_t cta = blockIdx.x;
  const std::uint32_t whole = total / gridDim.x;
  const std::uint32_t longer = total - whole * gridDim.x;
  const std::uint32_t begin = whole * cta + min(cta, longer);
  const std::uint32_t end = begin + whole + (cta < longer ? 1u : 0u);
  if (thread == 0) {
    share.begin = begin;
    share.end = end;
    share.whole = whole;
    share.longer = longer;
    share.panels = 0;
  }
  // The thread that has the panel in which the share begins says where that is; of a short run,
  // where the run begins: the window leaves out what lies in front of the share.
  if (begin < end && before <= begin && begin < before + mine) {
    std::uint32_t at = before;
    unsigned p = first;
    for (; run > kWindowPanels / 3; ++p) {
      const std::uint32_t cost =
          panel_cost<kHeadDim, kPhase, kTier>(panel_items<kPhase>(args, static_cast<int>(p)));
      if (begin < at + cost) break;
      at += cost;
    }
    share.first = static_cast<int>(p);  // scratch may still be read
    share.window[0].begin = at;
  }
  __syncthreads();
  if (begin >= end) return;  // more CTAs than work
  move_window<kHeadDim, kPhase, kTier>(args, share.first, share.window[0].begin, share);
}

}  // namespace thriftattn::cuda
