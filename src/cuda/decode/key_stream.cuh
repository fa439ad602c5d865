// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// K of a warp's items on its way into the warp's ring.
#pragma once

#include "cuda/decode/ring.cuh"
#include "cuda/decode/stages.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Runs ahead of the warp through its items and asks for their K. What each stage of the ring holds
// stands in `labels`, shared memory of the warp.
template <class T>
class KeyStream {
 public:
  using KeyRing = Ring<T::kKeyStages, T::kKeyStageBytes>;

  __device__ KeyStream(const DecodeArgs& args, const Share& share, Item* labels, KeyRing& ring)
      : args_(args), walk_(args, share), labels_(labels), ring_(ring) {}

  // Fills the ring as far as the window has items.
  __device__ void fill(int lane) {
    while (!ring_.full()) {
      while (!walk_.has_item()) {
        if (!walk_.next_panel()) return;
      }
      const Item item = walk_.item();
      const int stages = Stages<T>::of_key(item);
      const Stage stage =
          Stages<T>::key(args_.cache, static_cast<std::size_t>(item.cell), stages, stage_);
      if (lane == 0) labels_[ring_.next()] = item;
      ring_.fill(stage.from, stage.bytes, lane);
      if (++stage_ < stages) continue;
      stage_ = 0;
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
  int stage_ = 0;  // of the item
};

}  // namespace thriftattn::cuda
