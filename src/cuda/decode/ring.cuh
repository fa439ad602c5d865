// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A warp's ring of stages in shared memory, filled by bulk copies and emptied in the same order.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"

namespace thriftattn::cuda {

template <int kStages, int kStageBytes>
class Ring {
 public:
  __device__ Ring(std::uint32_t memory, std::uint32_t barriers)
      : memory_(memory), barriers_(barriers) {}

  __device__ void init() const {
    for (int s = 0; s < kStages; ++s) ptx::barrier_init(barriers_ + 8 * s, 1);
  }
  [[nodiscard]] __device__ bool full() const { return filled_ == kStages; }

  // The stage that fill() fills next, and the one that wait() waits for.
  [[nodiscard]] __device__ int next() const { return into_; }
  [[nodiscard]] __device__ int oldest() const { return from_; }

  // Only where not full(). All lanes call it, lane 0 copies. What the stage held has been read.
  __device__ void fill(const std::byte* from, int bytes, int lane) {
    __syncwarp();
    if (lane == 0) {
      const std::uint32_t barrier = barriers_ + 8 * into_;
      ptx::barrier_expect(barrier, static_cast<std::uint32_t>(bytes));
      ptx::bulk_copy(memory_ + into_ * kStageBytes, from, static_cast<std::uint32_t>(bytes),
                     barrier);
    }
    if constexpr (kStages > 1) into_ = into_ + 1 == kStages ? 0 : into_ + 1;
    ++filled_;
  }
  // Waits for the oldest stage and returns its address.
  [[nodiscard]] __device__ std::uint32_t wait() const {
    ptx::barrier_wait(barriers_ + 8 * from_, parity_);
    return memory_ + from_ * kStageBytes;
  }
  // The oldest stage has been read.
  __device__ void release() {
    --filled_;
    if (kStages == 1 || ++from_ == kStages) {
      from_ = 0;
      parity_ ^= 1u;
    }
  }

 private:
  std::uint32_t memory_;
  std::uint32_t barriers_;
  int into_ = 0;
  int from_ = 0;
  int filled_ = 0;
  std::uint32_t parity_ = 0;
};

}  // namespace thriftattn::cuda
