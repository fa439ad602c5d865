// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Cuts the work of a call into equal shares of bytes, one for each CTA, and each of them into equal
// runs, one for each warp. Lengths and sets live on the device, so every CTA computes the same cut
// for itself. A share is a range of a line on which all panels lie one after the other, and in a
// panel each class of items side by side. What a warp has of a panel is a piece.
#pragma once

#include <cstdint>

#include "cuda/decode/panel_items.cuh"
#include "cuda/decode/spread.cuh"

namespace thriftattn::cuda {

// Where a panel lies on the line, and the CTAs that have a part of it.
struct PanelPlace {
  std::int32_t panel;
  std::uint32_t begin;
  std::uint32_t cost;
  std::int32_t first_cta;
  std::int32_t ctas;

  [[nodiscard]] __device__ std::uint32_t end() const { return begin + cost; }
};

// A panel of the share, and which warps have its pieces.
struct WalkPanel {
  PanelItems items;
  PanelPlace place;
  Slice slice;               // this CTA's
  std::uint32_t run_length;  // of the slice, for a warp
  std::int16_t first_warp;
  std::int16_t last_warp;
  bool goes_on;  // whether the last warp has more panels behind this one
};

// Shares of whole parts of a panel are taken where they are at most this much uneven: a CTA with
// the end of one panel and the beginning of the next has more to merge.
inline constexpr float kUneven = 1.06f;
inline constexpr std::uint32_t kShortShare = 12000;  // beyond it the unevenness costs more

// This CTA's share [begin, end) of the line, and a window on its panels, which is cut into runs.
struct Share {
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t whole;  // length of a share; the first `longer` CTAs have one more
  std::uint32_t longer;
  std::int32_t first;   // panel of window[0]
  std::int32_t panels;  // of the window that are in the share
  // From an item of a warp to its next one: 1, or the number of warps where the CTA's items of its
  // only panel, pieces[0], are dealt out.
  std::int32_t step;
  WalkPanel window[kWindowPanels];
  Piece pieces[kMaxPieces];                 // of warp w and window[p]: w + p
  std::int16_t run_begin[kMaxCtaWarps];     // a warp's first panel of the window
  std::int16_t run_end[kMaxCtaWarps];       // behind its last; as the first where it has none
  float limits[kWindowPanels][kPanelRows];  // log2 of the mass below which a block needs no V
  // TailBy::kPromoted: warps that have left their masses, and the one that scores the sink for it.
  std::int32_t left[kWindowPanels];
  std::int16_t sink_warp[kWindowPanels];

  // The CTA whose share holds a place.
  [[nodiscard]] __device__ int cta_of(std::uint32_t at) const {
    const std::uint32_t edge = longer * (whole + 1);
    return static_cast<int>(at < edge ? at / (whole + 1) : longer + (at - edge) / whole);
  }
  [[nodiscard]] __device__ PanelPlace place(int panel, std::uint32_t at, std::uint32_t cost) const {
    const int first = cta_of(at);
    return {panel, at, cost, first, cta_of(at + cost - 1) - first + 1};
  }
  // Whether the share ends in the window.
  [[nodiscard]] __device__ bool is_last_window() const {
    return window[panels - 1].place.end() >= end;
  }
};

// Those that have a panel each, or a run of panels: the threads of the CTA or, where 32 are enough,
// the lanes of each warp, which need no barrier.
class PanelThreads {
 public:
  // scratch: [32] words of shared memory
  __device__ PanelThreads(unsigned panels, std::uint32_t* scratch)
      : is_warp_(panels <= 32), scratch_(scratch) {}

  [[nodiscard]] __device__ unsigned index() const { return is_warp_ ? lane() : threadIdx.x; }
  [[nodiscard]] __device__ unsigned size() const { return is_warp_ ? 32 : blockDim.x; }
  // Whether this thread writes what its index stands for.
  [[nodiscard]] __device__ bool writes() const { return !is_warp_ || threadIdx.x < 32; }

  [[nodiscard]] __device__ bool all(bool mine) const {
    return is_warp_ ? __all_sync(~0u, mine) != 0 : __syncthreads_and(mine) != 0;
  }
  [[nodiscard]] __device__ int count(bool mine) const {
    if (!is_warp_) return __syncthreads_count(mine);
    __syncwarp();
    return __popc(__ballot_sync(~0u, mine));
  }

  // What comes before this one, and all.
  struct Sum {
    std::uint32_t before;
    std::uint32_t all;
  };
  [[nodiscard]] __device__ Sum sum(std::uint32_t mine) const {
    std::uint32_t before = mine;
#pragma unroll
    for (unsigned d = 1; d < 32; d *= 2) {
      const std::uint32_t other = __shfl_up_sync(~0u, before, d);
      if (lane() >= d) before += other;
    }
    if (is_warp_) return {before - mine, __shfl_sync(~0u, before, 31)};
    const unsigned warp = threadIdx.x / 32;
    __syncthreads();  // scratch may be in use
    if (lane() == 31) scratch_[warp] = before;
    __syncthreads();
    const std::uint32_t sum = lane() < blockDim.x / 32 ? scratch_[lane()] : 0;
    return {before - mine + __reduce_add_sync(~0u, lane() < warp ? sum : 0),
            __reduce_add_sync(~0u, sum)};
  }

 private:
  [[nodiscard]] __device__ static unsigned lane() { return threadIdx.x & 31; }

  bool is_warp_;
  std::uint32_t* scratch_;
};

// Puts a panel and what the share [begin, end) has of it into the window. length: that of a share
// at least, the same for every CTA that has a part of the panel.
template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ inline void put_panel(const PanelItems& items, const PanelPlace& place,
                                 std::uint32_t begin, std::uint32_t end, std::uint32_t length,
                                 WalkPanel& to) {
  to.items = items;
  to.place = place;
  const Spread<ItemCost<kHeadDim, kPhase, kTier>> spread(items.count, kPanelCost, length);
  int before[kItemClasses];
  int behind[kItemClasses];
  spread.cut(max(begin, place.begin) - place.begin, before);
  spread.cut(min(end, place.end()) - place.begin, behind);
  int first = 0;  // of the class
#pragma unroll
  for (int c = 0; c < kItemClasses; ++c) {
    to.slice.first[c] = first + before[c];
    to.slice.count[c] = behind[c] - before[c];
    first += items.count[c];
  }
  to.run_length = Spread<ItemTime<kPhase, kTier>>(to.slice.count, kPanelTime, 0).length();
}

// Cuts the window's `panels` into runs, one for each warp; all threads call it. A warp's lanes work
// out the ends of its pieces: lane 2 p where the one of window[p] begins, lane 2 p + 1 where it
// ends.
template <Phase kPhase, HighTier kTier>
__device__ inline void cut_runs(Share& share, int panels) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const auto warp = static_cast<std::uint32_t>(threadIdx.x / 32);
  const std::uint32_t warps = blockDim.x / 32;
  WalkPanel& panel = share.window[min(lane / 2, panels - 1)];
  const bool exists = lane / 2 < panels;
  const std::uint32_t panel_length = exists ? panel.run_length : 0;
  std::uint32_t panel_end = panel_length;
#pragma unroll
  for (int d = 2; d < 32; d *= 2) {
    const std::uint32_t other = __shfl_up_sync(~0u, panel_end, d);
    if (lane >= d) panel_end += other;
  }
  const std::uint32_t panel_begin = panel_end - panel_length;
  const std::uint32_t length = __shfl_sync(~0u, panel_end, 31);
  const std::uint32_t each = length / warps;
  const auto edge = [&](std::uint32_t w) { return each * w + min(w, length - each * warps); };
  const std::uint32_t begin = edge(warp);
  const std::uint32_t end = edge(warp + 1);
  const bool inside = exists && begin < end && panel_begin < end && panel_end > begin;
  int before[kItemClasses] = {};
  if (inside) {
    const std::uint32_t at = lane % 2 == 0 ? max(begin, panel_begin) : min(end, panel_end);
    Spread<ItemTime<kPhase, kTier>>(panel.slice.count, kPanelTime, each)
        .cut(at - panel_begin, before);
  }
  int behind[kItemClasses];
#pragma unroll
  for (int c = 0; c < kItemClasses; ++c) behind[c] = __shfl_down_sync(~0u, before[c], 1);
  if (inside && lane % 2 == 0) {
    share.pieces[warp + lane / 2].set(panel.slice.first, before, behind);
    if (panel_begin >= begin) panel.first_warp = static_cast<std::int16_t>(warp);
    if (panel_end <= end) {
      panel.last_warp = static_cast<std::int16_t>(warp);
      panel.goes_on = panel_end < end;
    }
  }
  const unsigned mine = __ballot_sync(~0u, inside);
  if (lane == 0) {
    const int first = mine != 0 ? (__ffs(static_cast<int>(mine)) - 1) / 2 : 0;
    share.run_begin[warp] = static_cast<std::int16_t>(first);
    share.run_end[warp] = static_cast<std::int16_t>(first + __popc(mine) / 2);
  }
  if (threadIdx.x == 0) {
    share.panels = panels;
    share.step = 1;
  }
  __syncthreads();
}

// Deals the CTA's items of window[0] out to its warps; the thread that has put the panel there
// calls it. Cheaper than runs, and as even where no warp has another panel to go to.
__device__ inline void deal_out(Share& share) {
  WalkPanel& panel = share.window[0];
  constexpr int kNone[kItemClasses] = {};
  share.pieces[0].set(panel.slice.first, kNone, panel.slice.count);
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int w = 0; w < warps; ++w) {
    share.run_begin[w] = 0;
    share.run_end[w] = 1;
  }
  panel.first_warp = 0;
  panel.last_warp = static_cast<std::int16_t>(warps - 1);
  panel.goes_on = false;
  share.panels = 1;
  share.step = warps;
}

// Whole parts: every panel gets CTAs of its own, in proportion, where that is even enough. All
// threads call it, with the cost of their panel or 0. The CTAs of the thread's panel, if so.
struct WholeParts {
  bool taken;
  std::uint32_t first_cta;
  std::uint32_t ctas;
};
__device__ inline WholeParts divide_ctas(std::uint32_t cost, unsigned panels, std::uint32_t total,
                                         const PanelThreads& threads) {
  const unsigned ctas = gridDim.x;
  if (panels > ctas || total > kShortShare * ctas) return {false, 0, 0};
  // Rounded down but for less than all panels' roundings together.
  const float exact = __fdividef(static_cast<float>(cost) * static_cast<float>(ctas - panels),
                                 static_cast<float>(total));
  const std::uint32_t parts = cost > 0 ? 1 + static_cast<std::uint32_t>(exact + 1e-4f) : 0;
  const bool even = static_cast<float>(cost) * static_cast<float>(ctas) <=
                    static_cast<float>(total) * static_cast<float>(parts) * kUneven;
  if (!threads.all(even)) return {false, 0, 0};
  return {true, threads.sum(parts).before, parts};
}

// Moves the window to where panel `first` begins on the line; all threads call it. Panels of the
// window are worked out side by side, by one warp. Rare, and so out of the way of the other code.
template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ __noinline__ void move_window(const DecodeArgs& args, int first,
                                         std::uint32_t line_begin, Share& share) {
  __syncthreads();  // the window is read by nobody
  const int lane = static_cast<int>(threadIdx.x);
  bool inside = false;
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
    inside = exists && at < share.end && at + cost > share.begin;
    const int slot = lane + 1 - __ffs(static_cast<int>(__ballot_sync(~0u, inside)));
    if (inside) {
      put_panel<kHeadDim, kPhase, kTier>(items, share.place(panel, at, cost), share.begin,
                                         share.end, share.whole, share.window[slot]);
    }
  }
  const int panels = __syncthreads_count(inside);
  if (panels > 0) cut_runs<kPhase, kTier>(share, panels);
}

// A warp's page of the call's KeyPrefetch. Its number is loaded beside the lengths and sets.
template <int kHeadDim, Phase kPhase>
class WarpPrefetch {
 public:
  __device__ explicit WarpPrefetch(const DecodeArgs& args) {
    const int warp = static_cast<int>(threadIdx.x / 32 * gridDim.x + blockIdx.x);
    if (kPhase == Phase::kDense || threadIdx.x % 32 != 0 || warp >= args.prefetch.pages) return;
    const auto at = static_cast<unsigned>(static_cast<float>(warp) * args.prefetch.step);
    const auto blocks = static_cast<unsigned>(args.prefetch.blocks);
    page_ = args.cache.page(args.shape.sequence[at / blocks], static_cast<int>(at % blocks));
  }
  __device__ void ask(const DecodeArgs& args) const {
    if (kPhase == Phase::kDense || page_ < 0) return;
    constexpr int kBytes = DeviceTileLayout{kHeadDim}.k_bytes();
    ptx::bulk_prefetch_l2(args.cache.low_k + args.cache.cell(page_, 0) * kBytes,
                          static_cast<std::uint32_t>(args.cache.kv_heads * kBytes));
  }

 private:
  int page_ = -1;
};

// All threads of the CTA call this. scratch: [32] words of shared memory, as `share` is. A thread
// works out a run of panels; where that is one, it does so once.
template <int kHeadDim, Phase kPhase, HighTier kTier>
__device__ inline void make_share(const DecodeArgs& args, std::uint32_t* scratch, Share& share) {
  const unsigned panels = static_cast<unsigned>(args.shape.panels);
  const PanelThreads threads(panels, scratch);
  const unsigned run =
      panels <= threads.size() ? 1 : (panels + threads.size() - 1) / threads.size();
  const unsigned first = min(threads.index() * run, panels);
  const unsigned last = min(first + run, panels);
  const WarpPrefetch<kHeadDim, kPhase> prefetch(args);
  PanelItems items;
  std::uint32_t mine = 0;
#pragma unroll 2
  for (unsigned p = first; p < last; ++p) {
    items = panel_items<kPhase>(args, static_cast<int>(p));
    mine += panel_cost<kHeadDim, kPhase, kTier>(items);
  }
  prefetch.ask(args);
  if (run == 1 && first < last && threads.writes()) prefetch_lists<kPhase>(args, items);
  const auto [before, total] = threads.sum(mine);

  WholeParts parts{};
  if (run == 1) parts = divide_ctas(mine, panels, total, threads);
  const std::uint32_t cta = blockIdx.x;
  const std::uint32_t whole = total / gridDim.x;
  const std::uint32_t longer = total - whole * gridDim.x;
  std::uint32_t begin = whole * cta + min(cta, longer);
  std::uint32_t end = begin + whole + (cta < longer ? 1u : 0u);
  if (threadIdx.x == 0) {
    share.begin = begin;
    share.end = end;
    share.whole = whole;
    share.longer = longer;
    share.panels = 0;
  }
  // Threads whose panels end in front of the share.
  const bool in_front = first < last && before + mine <= begin;
  const int slot = static_cast<int>(threads.index()) - threads.count(in_front);
  if (run == 1) {
    bool inside = false;
    PanelPlace place{};
    if (parts.taken) {
      const std::uint32_t part = cta - parts.first_cta;
      inside = part < parts.ctas && threads.writes();
      if (inside) {
        begin = before + mine * part / parts.ctas;
        end = before + mine * (part + 1) / parts.ctas;
        share.begin = begin;
        share.end = end;
        place = {static_cast<int>(first), before, mine, static_cast<int>(parts.first_cta),
                 static_cast<int>(parts.ctas)};
      }
    } else {
      inside = first < last && begin < end && !in_front && before < end && slot < kWindowPanels &&
               threads.writes();
      if (inside) place = share.place(static_cast<int>(first), before, mine);
    }
    if (inside) {
      put_panel<kHeadDim, kPhase, kTier>(items, place, begin, end,
                                         parts.taken ? mine / parts.ctas : whole,
                                         share.window[parts.taken ? 0 : slot]);
      if (parts.taken) deal_out(share);
    }
    const int inside_window = __syncthreads_count(inside);
    if (!parts.taken && inside_window > 0) cut_runs<kPhase, kTier>(share, inside_window);
    return;
  }
  if (begin >= end) return;  // more CTAs than work
  // The thread in whose run the share begins says where that is; of a short run, where the run
  // begins: the window leaves out what lies in front of the share.
  if (slot == 0) {
    std::uint32_t at = before;
    unsigned p = first;
    for (; run > kWindowPanels / 3; ++p) {
      const std::uint32_t cost =
          panel_cost<kHeadDim, kPhase, kTier>(panel_items<kPhase>(args, static_cast<int>(p)));
      if (begin < at + cost) break;
      at += cost;
    }
    share.first = static_cast<int>(p);  // scratch may still be read
    share.window[0].place.begin = at;
  }
  __syncthreads();
  move_window<kHeadDim, kPhase, kTier>(args, share.first, share.window[0].place.begin, share);
}

}  // namespace thriftattn::cuda
