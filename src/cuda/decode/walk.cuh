// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's way through its items, piece by piece. The lanes look 32 items ahead, so that lists,
// block tables and headers are read in parallel.
#pragma once

#include <cstdint>

#include "cuda/decode/stages.cuh"

namespace thriftattn::cuda {

// Of a block's tiles or, of an open block in a nested cache, its rows.
template <class T>
[[nodiscard]] __device__ inline std::size_t cell_of(const DecodeArgs& args, const PanelItems& items,
                                                    int block) {
  const bool open_rows = T::kNested && items.is_open(block);
  const int page = open_rows ? items.sequence : args.cache.page(items.sequence, block);
  return args.cache.cell(page, items.kv_head);
}

template <class T>
class Walk {
 public:
  // In front of a window's anchors, if the call measures its tail by them, or of the warp's run.
  // share: in shared memory.
  __device__ Walk(const DecodeArgs& args, const Share& share) : args_(args), share_(share) {
    slot_ = (has_anchors() ? 0 : kOwn + share_.run_begin[warp()]) - 1;
  }

  // Moves to the next panel of the window, false after its last: first to each panel for an anchor,
  // then to those of the run.
  __device__ bool next_panel() {
    int next = slot_ + 1;
    if (T::kCutsTail && next == share_.panels) next = kOwn + share_.run_begin[warp()];
    if (next >= kOwn + share_.run_end[warp()]) return false;
    slot_ = next;
    item_ = 0;
    if (!at_anchor()) {
      if (is_dealt()) item_ = warp();
      end_ = piece().items();
      if (T::kCutsTail && args_.tail == TailBy::kPromoted && warp() == share_.sink_warp[slot()]) {
        item_ -= share_.step;  // one more in front: the sink, as an anchor
      }
    } else {
      end_ = items().known > 0 && warp() < sets_of(items()).anchors ? 1 : 0;
    }
    ahead_ = 32;
    return true;
  }
  // Whether the warp is at a panel for its anchor.
  [[nodiscard]] __device__ bool at_anchor() const { return T::kCutsTail && slot_ < kOwn; }
  [[nodiscard]] __device__ bool has_anchors() const {
    return T::kCutsTail && args_.tail == TailBy::kAnchors;
  }
  [[nodiscard]] const __device__ UnitSets& sets_of(const PanelItems& items) const {
    return args_.sets[items.sequence * args_.cache.kv_heads + items.kv_head];
  }

  [[nodiscard]] __device__ bool has_item() const { return item_ < end_; }
  // How many the warp has in this panel; before the first advance().
  [[nodiscard]] __device__ int items_of_warp() const {
    return is_dealt() ? (end_ - item_ + share_.step - 1) / share_.step : end_ - item_;
  }
  // Only where has_item().
  [[nodiscard]] __device__ Item item() {
    if (ahead_ == 32) look_ahead();
    return {__shfl_sync(~0u, packed_, ahead_), __shfl_sync(~0u, cell_, ahead_)};
  }
  __device__ void advance() {
    item_ += share_.step;
    ++ahead_;
  }

  // Where in the window the warp is.
  [[nodiscard]] __device__ int slot() const { return slot_ & (kOwn - 1); }
  [[nodiscard]] const __device__ WalkPanel& at() const { return share_.window[slot()]; }
  [[nodiscard]] __device__ int panel() const { return at().place.panel; }
  [[nodiscard]] const __device__ PanelItems& items() const { return at().items; }

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  [[nodiscard]] __device__ bool is_dealt() const { return share_.step > 1; }
  [[nodiscard]] const __device__ Piece& piece() const {
    return share_.pieces[is_dealt() ? 0 : warp() + slot()];
  }

  // Where items are dealt out, to warp i % step, the item of place i, and the place of item i: the
  // first, the longest, go to the last warps, which may have one item less.
  [[nodiscard]] __device__ int dealt(int i) const {
    return i < share_.step ? min(share_.step, end_) - 1 - i : i;
  }

  __device__ void look_ahead() {
    ahead_ = 0;
    int mine = item_ + static_cast<int>(threadIdx.x & 31) * share_.step;
    if (mine >= end_) return;
    const PanelItems& panel = items();
    if (T::kCutsTail && (at_anchor() || mine < 0)) {
      place(panel, mine < 0 ? 0 : sets_of(panel).anchor[warp()], kLow);
      packed_ |= Item::kAnchor;
      return;
    }
    if (is_dealt()) mine = dealt(mine);
    const Piece& piece = this->piece();
    int item_class = 0;
#pragma unroll
    for (int c = 0; c + 1 < kItemClasses; ++c) item_class += mine >= piece.end[c] ? 1 : 0;
    const int item = mine + piece.shift[item_class];
    int block = 0;
    const bool forced = panel.is_forced(item);
    if (forced) {
      block = panel.forced_block(item);
    } else if constexpr (T::kPhase == Phase::kScore) {
      block = panel.sink + panel.list_index(item);
    } else if constexpr (T::kPhase == Phase::kAttend) {
      const std::size_t unit =
          static_cast<std::size_t>(panel.sequence) * args_.cache.kv_heads + panel.kv_head;
      block = __ldg(args_.lists + unit * args_.cache.max_blocks + panel.list_index(item));
    }
    place(panel, block, item_class);
    if constexpr (T::kValues) {
      args_.fates[static_cast<std::size_t>(at().place.panel) * args_.cache.max_blocks + block] =
          fate(forced, item_class);
    }
  }

  // What is known of a block before its mass: account() adds whether it is in the tail.
  __device__ static std::uint8_t fate(bool forced, int item_class) {
    int bits = kFateVisible;
    if (forced) bits |= kFateForced;
    if (!forced && item_class <= kKeyOnly) bits |= kFatePromotedK;
    if (!forced && item_class == kBoth) bits |= kFatePromotedV;
    return static_cast<std::uint8_t>(bits);
  }

  __device__ void place(const PanelItems& panel, int block, int item_class) {
    packed_ = static_cast<std::uint32_t>(block) | static_cast<std::uint32_t>(item_class) << 14;
    if (T::kNested && panel.is_open(block)) packed_ |= Item::kOpenRows;
    cell_ = static_cast<int>(cell_of<T>(args_, panel, block));
    if (T::kNested || item_class != kKeyOnly) return;
    const std::byte* tile =
        args_.cache.low_k + static_cast<std::size_t>(cell_) * T::kLayout.k_bytes();
    const float v_exponent =
        reinterpret_cast<const BlockHeader*>(tile + T::kLayout.k_header())->v_exponent;
    packed_ |= static_cast<std::uint32_t>(static_cast<int>(v_exponent) + 0x8000) << 16;
  }

  const DecodeArgs& args_;
  const Share& share_;
  static constexpr int kOwn = 64;  // added to the slots of the run
  static_assert(kWindowPanels <= kOwn);
  int slot_ = 0;
  int item_ = 0;
  int end_ = 0;
  int ahead_ = 32;
  // Of the lane's item among the 32 ahead.
  std::uint32_t packed_ = 0;
  std::int32_t cell_ = 0;
};

}  // namespace thriftattn::cuda
