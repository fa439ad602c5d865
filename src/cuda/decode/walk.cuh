// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's way through its items: panel by panel of the CTA's share, in each every `warps`-th item.
// The lanes look 32 items ahead, so that lists, block tables and headers are read in parallel.
#pragma once

#include <cstdint>

#include "cuda/decode/partition.cuh"

namespace thriftattn::cuda {

// A block of a panel: 14 bits of block, 2 of class, 16 of what the class leaves open. All ones: an
// anchor, scored but not summed. Else with rows V's exponent plus 2^15 (of kKeyOnly, whose K tile
// is not read), nested kOpenRows of the open block.
struct alignas(8) Item {
  static constexpr std::uint32_t kAnchor = 0xffff0000u;
  static constexpr std::uint32_t kOpenRows = 0x00010000u;

  std::uint32_t packed;
  std::int32_t page;  // of kOpenRows the sequence, whose rows they are

  [[nodiscard]] __device__ int block() const { return static_cast<int>(packed & 0x3fffu); }
  [[nodiscard]] __device__ int item_class() const { return static_cast<int>(packed >> 14 & 3u); }
  [[nodiscard]] __device__ bool is_anchor() const { return packed >= kAnchor; }
  [[nodiscard]] __device__ bool has_open_rows() const {
    return (packed & Item::kAnchor) == kOpenRows;
  }
  [[nodiscard]] __device__ float v_exponent() const {
    return static_cast<float>(static_cast<int>(packed >> 16) - 0x8000);
  }
};

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
    item_ = warp();
    end_ = at.slices.items();
    ahead_ = 32;
    anchor_ = starts_with_anchor(at.items);
    return true;
  }
  // Whether the warp scores an anchor in front of its items of this panel.
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

  [[nodiscard]] __device__ bool has_item() const { return anchor_ || item_ < end_; }
  // How many the warp has in this panel; before the first advance().
  [[nodiscard]] __device__ int items_of_warp() const {
    return (end_ - item_ + warps() - 1) / warps();
  }
  // Only where has_item().
  [[nodiscard]] __device__ Item item() {
    if (anchor_) {
      const int block = sets_of(items()).anchor[warp()];
      return {static_cast<std::uint32_t>(block) | static_cast<std::uint32_t>(kLow) << 14 |
                  Item::kAnchor,
              args_.cache.page(items().sequence, block)};
    }
    if (ahead_ == 32) look_ahead();
    return {__shfl_sync(~0u, packed_, ahead_), __shfl_sync(~0u, page_, ahead_)};
  }
  __device__ void advance() {
    if (anchor_) {
      anchor_ = false;
      return;
    }
    item_ += warps();
    ++ahead_;
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
    packed_ = 0;
    page_ = 0;
    if (mine >= end_) return;
    // The first items, the longest, go to the last warps: those that may have one item less.
    if (mine == warp()) mine = min(warps(), end_) - 1 - warp();
    const PanelItems& panel = items();
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
    packed_ = static_cast<std::uint32_t>(block) | static_cast<std::uint32_t>(item_class) << 14;
    if (T::kNested && kBlockTokens * (block + 1) > panel.length) {
      packed_ |= Item::kOpenRows;
      page_ = panel.sequence;
      return;
    }
    page_ = args_.cache.page(panel.sequence, block);
    if constexpr (T::kNested) return;
    float v_exponent = 0;
    if (item_class == kKeyOnly) {
      const auto* tile =
          args_.cache.low_k + args_.cache.cell(page_, panel.kv_head) * T::kLayout.k_bytes();
      v_exponent = reinterpret_cast<const BlockHeader*>(tile + T::kLayout.k_header())->v_exponent;
    }
    packed_ |= static_cast<std::uint32_t>(static_cast<int>(v_exponent) + 0x8000) << 16;
  }

  const DecodeArgs& args_;
  const Share& share_;
  int slot_ = -1;
  bool anchor_ = false;
  int item_ = 0;
  int end_ = 0;
  int ahead_ = 32;
  std::uint32_t packed_ = 0;
  int page_ = 0;
};

}  // namespace thriftattn::cuda
