// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's way through its items: panel by panel of the CTA's share, in each every `warps`-th item.
// The lanes look 32 items ahead, so that lists, block tables and headers are read in parallel.
#pragma once

#include <cstdint>

#include "cuda/decode/partition.cuh"

namespace thriftattn::cuda {

struct alignas(16) Item {
  int block;
  int page;
  int item_class;
  float v_exponent;  // of kKeyOnly, whose K tile is not read
};

template <class T>
class Walk {
 public:
  // share, own: in shared memory; `own` is for panels beyond the share's table. Walks of warps that
  // are always at the same panel may share it.
  __device__ Walk(const DecodeArgs& args, const Share& share, WalkPanel& own)
      : args_(args), share_(share), own_(own), next_(share.panel), next_begin_(share.panel_begin) {}

  // Moves to the next panel of the share; false after the last. All warps see the same panels.
  __device__ bool next_panel() {
    if (next_ >= args_.shape.panels || next_begin_ >= share_.end) return false;
    const int slot = next_ - share_.panel;
    at_ = slot < kTablePanels ? &share_.table[slot] : work_out();
    ++next_;
    next_begin_ += at_->cost;
    const PanelItems& items = at_->items;
    const std::uint32_t from = max(share_.begin, at_->begin) - at_->begin;
    const std::uint32_t to = min(share_.end, next_begin_) - at_->begin;
    item_ = first_item<T::kHeadDim, T::kPhase>(items, from) + warp();
    end_ = first_item<T::kHeadDim, T::kPhase>(items, to);
    ahead_ = 32;
    return true;
  }

  [[nodiscard]] __device__ bool has_item() const { return item_ < end_; }
  // How many the warp has in this panel; before the first advance().
  [[nodiscard]] __device__ int items_of_warp() const {
    return (end_ - item_ + warps() - 1) / warps();
  }
  // Only where has_item().
  [[nodiscard]] __device__ Item item() {
    if (ahead_ == 32) look_ahead();
    Item item{};
    const std::uint32_t entry = __shfl_sync(~0u, entry_, ahead_);
    item.block = static_cast<int>(entry & 0xffffu);
    item.item_class = static_cast<int>(entry >> 16);
    item.page = __shfl_sync(~0u, page_, ahead_);
    item.v_exponent = __shfl_sync(~0u, v_exponent_, ahead_);
    return item;
  }
  __device__ void advance() {
    item_ += warps();
    ++ahead_;
  }

  [[nodiscard]] __device__ int panel() const { return at_->panel; }
  [[nodiscard]] const __device__ PanelItems& items() const { return at_->items; }
  // CTAs that have a part of this panel.
  [[nodiscard]] __device__ int first_cta() const { return at_->first_cta; }
  [[nodiscard]] __device__ int ctas() const { return at_->ctas; }

 private:
  [[nodiscard]] __device__ static int warp() { return static_cast<int>(threadIdx.x) / 32; }
  [[nodiscard]] __device__ static int warps() { return static_cast<int>(blockDim.x) / 32; }

  const __device__ WalkPanel* work_out() {
    const PanelItems items = panel_items<T::kPhase>(args_, next_);
    __syncwarp();  // all lanes have read the last panel
    if ((threadIdx.x & 31) == 0) {
      const std::uint32_t cost = panel_cost<T::kHeadDim, T::kPhase>(items);
      const int first_cta = share_.cta_of(next_begin_);
      const int last_cta = share_.cta_of(next_begin_ + cost - 1);
      own_ = {items, next_, next_begin_, cost, first_cta, last_cta - first_cta + 1};
    }
    __syncwarp();
    return &own_;
  }

  __device__ void look_ahead() {
    ahead_ = 0;
    const int item = item_ + static_cast<int>(threadIdx.x & 31) * warps();
    entry_ = 0;
    page_ = 0;
    v_exponent_ = 0;
    if (item >= end_) return;
    const PanelItems& panel = at_->items;
    const int item_class = panel.item_class(item);
    int block = 0;
    if (item < panel.forced) {
      block = panel.forced_block(item);
    } else if constexpr (T::kPhase == Phase::kScore) {
      block = panel.sink + item - panel.forced;
    } else {
      const std::size_t unit =
          static_cast<std::size_t>(panel.sequence) * args_.cache.kv_heads + panel.kv_head;
      block = __ldg(args_.lists + unit * args_.cache.max_blocks + item - panel.forced);
    }
    entry_ = static_cast<std::uint32_t>(block) | static_cast<std::uint32_t>(item_class) << 16;
    page_ = args_.cache.page(panel.sequence, block);
    if (item_class == kKeyOnly) {
      const auto* tile =
          args_.cache.low_k + args_.cache.cell(page_, panel.kv_head) * T::kLayout.k_bytes();
      v_exponent_ = reinterpret_cast<const BlockHeader*>(tile + T::kLayout.k_header())->v_exponent;
    }
  }

  const DecodeArgs& args_;
  const Share& share_;
  WalkPanel& own_;
  const WalkPanel* at_ = nullptr;
  int next_;
  std::uint32_t next_begin_;
  int item_ = 0;
  int end_ = 0;
  int ahead_ = 32;
  std::uint32_t entry_ = 0;
  int page_ = 0;
  float v_exponent_ = 0;
};

}  // namespace thriftattn::cuda
