// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's ring of stages in shared memory, filled by bulk copies and emptied in the same order.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"

namespace thriftattn::cuda {

template <int kStages, int kStageBytes>
class Ring {
  static_assert((kStages & (kStages - 1)) == 0);

 public:
  __device__ Ring(std::uint32_t memory, std::uint32_t barriers)
      : memory_(memory), barriers_(barriers) {}

  [[nodiscard]] __device__ bool full() const { return filled_ - released_ == kStages; }

  // The stage that fill() fills next, and the one that wait() waits for.
  [[nodiscard]] __device__ unsigned next() const { return filled_ % kStages; }
  [[nodiscard]] __device__ unsigned oldest() const { return released_ % kStages; }

  // Only where not full(). All lanes call it, lane 0 copies. What the stage held has been read.
  __device__ void fill(const std::byte* from, int bytes, int lane) {
    __syncwarp();
    if (lane == 0) {
      const std::uint32_t barrier = barriers_ + 8 * next();
      ptx::barrier_expect(barrier, static_cast<std::uint32_t>(bytes));
      ptx::bulk_copy(memory_ + next() * kStageBytes, from, static_cast<std::uint32_t>(bytes),
                     barrier);
    }
    ++filled_;
  }
  // Waits for the oldest stage and returns its address.
  [[nodiscard]] __device__ std::uint32_t wait() const {
    ptx::barrier_wait(barriers_ + 8 * oldest(), released_ / kStages & 1u);
    return memory_ + oldest() * kStageBytes;
  }
  // The oldest stage has been read.
  __device__ void release() { ++released_; }

 private:
  std::uint32_t memory_;
  std::uint32_t barriers_;
  unsigned filled_ = 0;  // so often; they may wrap around
  unsigned released_ = 0;
};

}  // namespace thriftattn::cuda
