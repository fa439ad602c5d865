// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's way through its items: panel by panel of the CTA's share, in each every `warps`-th item.
// The lanes look 32 items ahead, so that lists, block tables and headers are read in parallel.
#pragma once

#include <cstdint>

#include "cuda/decode/stages.cuh"

namespace thriftattn::cuda {

template <class T>
class Walk {
 public:
  // share: in shared memory.
  __device__ Walk(const DecodeArgs& args, const Share& share) : args_(args), share_(share) {}

  // Moves to the next panel of the window; false after its last. All warps see the same panels.
  __device__ bool next_panel() {
    if (slot_ + 1 >= share_.panels) return false;
    ++slot_;
    const WalkPanel& at = share_.window[slot_];
    item_ = warp() - (starts_with_anchor(at.items) ? warps() : 0);
    end_ = at.slices.items();
    ahead_ = 32;
    return true;
  }
  // Whether the warp scores an anchor in front of its items of this panel: its item -1, so to say.
  [[nodiscard]] __device__ bool starts_with_anchor(const PanelItems& items) const {
    if constexpr (T::kPhase != Phase::kAttend) return false;
    return args_.tail && args_.floor_log2 == nullptr && items.known > 0 &&
           warp() < sets_of(items).anchors;
  }
  [[nodiscard]] const __device__ UnitSets& sets_of(const PanelItems& items) const {
    return args_.sets[items.sequence * args_.cache.kv_heads + items.kv_head];
  }
  // The window has moved to the panel behind its last.
  __device__ void restart() { slot_ = -1; }

  [[nodiscard]] __device__ bool has_item() const { return item_ < end_; }
  // How many the warp has in this panel, the anchor included; before the first advance().
  [[nodiscard]] __device__ int items_of_warp() const {
    return (end_ - item_ + warps() - 1) / warps();
  }
  // Only where has_item().
  [[nodiscard]] __device__ Item item() {
    if (ahead_ == 32) look_ahead();
    return {__shfl_sync(~0u, packed_, ahead_), __shfl_sync(~0u, cell_, ahead_)};
  }
  // Where the first stage of its K lies; after item().
  [[nodiscard]] const __device__ std::byte* key() const {
    return reinterpret_cast<const std::byte*>(__shfl_sync(~0u, key_, ahead_));
  }
  __device__ void advance() {
    item_ += warps();
    ++ahead_;
  }

  // Whether this is the last panel of the share.
  [[nodiscard]] __device__ bool is_at_end() const {
    const WalkPanel& at = share_.window[slot_];
    return at.begin + at.cost >= share_.end;
  }
  [[nodiscard]] __device__ int panel() const { return share_.window[slot_].panel; }
  [[nodiscard]] const __device__ PanelItems& items() const { return share_.window[slot_].items; }
  // CTAs that have a part of this panel.
  [[nodiscard]] __device__ int first_cta() const { return share_.window[slot_].first_cta; }
  [[nodiscard]] __device__ int ctas() const { return share_.window[slot_].ctas; }

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  [[nodiscard]] __device__ static int warps() { return static_cast<int>(blockDim.x) / 32; }

  __device__ void look_ahead() {
    ahead_ = 0;
    int mine = item_ + static_cast<int>(threadIdx.x & 31) * warps();
    if (mine >= end_) return;
    const PanelItems& panel = items();
    if (T::kPhase == Phase::kAttend && mine < 0) {
      place(panel, sets_of(panel).anchor[warp()], kLow);
      packed_ |= Item::kAnchor;
      return;
    }
    // The first items, the longest, go to the last warps: those that may have one item less.
    if (mine == warp()) mine = min(warps(), end_) - 1 - warp();
    const Slices& slices = share_.window[slot_].slices;
    int item_class = 0;
#pragma unroll
    for (int c = 0; c + 1 < kItemClasses; ++c) item_class += mine >= slices.end[c] ? 1 : 0;
    const int item = mine + slices.shift[item_class];
    int block = 0;
    if (item < panel.forced) {
      block = panel.forced_block(item);
    } else if constexpr (T::kPhase == Phase::kScore) {
      block = panel.sink + item - panel.forced;
    } else if constexpr (T::kPhase == Phase::kAttend) {
      const std::size_t unit =
          static_cast<std::size_t>(panel.sequence) * args_.cache.kv_heads + panel.kv_head;
      block = __ldg(args_.lists + unit * args_.cache.max_blocks + item - panel.forced);
    }
    place(panel, block, item_class);
    if constexpr (T::kValues) {
      args_.fates[share_.window[slot_].panel * static_cast<std::size_t>(args_.cache.max_blocks) +
                  block] = fate(item < panel.forced, item_class);
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
    const bool open = T::kNested && kBlockTokens * (block + 1) > panel.length;
    if (open) packed_ |= Item::kOpenRows;
    const int page = open ? panel.sequence : args_.cache.page(panel.sequence, block);
    cell_ = static_cast<int>(args_.cache.cell(page, panel.kv_head));
    const auto cell = static_cast<std::size_t>(cell_);
    key_ = reinterpret_cast<std::uintptr_t>(
        Stages<T>::key(args_.cache, cell, Stages<T>::of_key({packed_, cell_}), 0).from);
    if (T::kNested || item_class != kKeyOnly) return;
    const std::byte* tile = args_.cache.low_k + cell * T::kLayout.k_bytes();
    const float v_exponent =
        reinterpret_cast<const BlockHeader*>(tile + T::kLayout.k_header())->v_exponent;
    packed_ |= static_cast<std::uint32_t>(static_cast<int>(v_exponent) + 0x8000) << 16;
  }

  const DecodeArgs& args_;
  const Share& share_;
  int slot_ = -1;
  int item_ = 0;
  int end_ = 0;
  int ahead_ = 32;
  // Of the lane's item among the 32 ahead.
  std::uint32_t packed_ = 0;
  std::int32_t cell_ = 0;
  unsigned long long key_ = 0;
};

}  // namespace thriftattn::cuda
