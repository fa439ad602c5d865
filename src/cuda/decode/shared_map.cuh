// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where what lies in the dynamic shared memory of a decode kernel's CTA.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

extern __shared__ __align__(128) std::byte decode_memory[];

// Dynamic shared memory of a CTA: rings | labels | states | anchors, with a tail | barriers |
// scratch.
template <class T>
class SharedMap {
 public:
  // threads: of the CTA
  __device__ explicit SharedMap(int threads) : threads_(threads) {}

  [[nodiscard]] __device__ std::uint32_t ring(int warp) const {
    return ptx::shared_address(decode_memory) + warp * T::kWarpBytes;
  }
  // Where a warp leaves the sums of its last piece, as its lanes hold them: [kSteps, 32]. Its value
  // ring, empty then.
  [[nodiscard]] __device__ float4* sums(int warp) const {
    return reinterpret_cast<float4*>(decode_memory + warp * T::kWarpBytes +
                                     T::kKeyStages * T::kKeyStageBytes);
  }
  // What the stages of a warp's key ring hold.
  [[nodiscard]] __device__ Item* labels(int warp) const {
    return reinterpret_cast<Item*>(decode_memory + warps() * T::kWarpBytes) + warp * T::kKeyStages;
  }
  // Of pieces. With a tail, while a warp is at one, `sum` is that of the tail's weights.
  [[nodiscard]] __device__ States states(int piece) const {
    return States{reinterpret_cast<float*>(labels(warps()))}.from(piece);
  }
  // [8]: log2 of the mass of a warp's anchor, or promoted blocks, in a panel of the window.
  [[nodiscard]] __device__ float* anchor(int warp, int slot) const {
    return states(kMaxPieces).reference(0) + warp * T::kAnchorFloats + slot * kPanelRows;
  }
  // [8]: log2 of the mass below which a block of the warp's panel needs no V.
  [[nodiscard]] __device__ float* limits(int warp) const { return anchor(warp, kWindowPanels); }
  [[nodiscard]] __device__ std::uint32_t barriers(int warp) const {
    return ptx::shared_address(anchor(warps(), 0)) + warp * (T::kKeyStages + T::kValueStages) * 8;
  }
  [[nodiscard]] __device__ std::uint32_t* scratch() const {
    return reinterpret_cast<std::uint32_t*>(anchor(warps(), 0)) +
           warps() * (T::kKeyStages + T::kValueStages) * 2;
  }
  [[nodiscard]] __device__ int warps() const { return threads_ / 32; }

 private:
  int threads_;
};

}  // namespace thriftattn::cuda
