// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The row of a token that the call appends, put where it belongs in a quarter of its block that has
// come to shared memory: in the cache it is not yet. So attend waits for no append in front of it.
// K and V of it wait in shared memory: the loop that puts them there has to stay small.
#pragma once

#include "cuda/cache/row_pair.cuh"
#include "cuda/decode/panel_items.cuh"

namespace thriftattn::cuda {

template <int kHeadDim>
class FreshRow {
 public:
  // Of shared memory: pairs of K and pairs of V, each in the order of their places, and where the
  // first ones of each lane belong.
  static constexpr int kWords = kHeadDim + 32;

  explicit __device__ FreshRow(std::uint32_t* memory) : memory_(memory) {}

  // Reads the panel's row. All lanes call it. Out of the way of the code that every call runs.
  __device__ __noinline__ static void load(const DecodeArgs& args, const PanelItems& items,
                                           std::uint32_t* memory) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const DeviceTileLayout layout{kHeadDim};
    const int token = args.shape.q_begin[items.entry];
    const auto slot = static_cast<unsigned>(items.length - 1) % kBlockTokens;
    const int at = static_cast<int>(slot & kFirstQuarter);
    __syncwarp();
    memory[kHeadDim + lane] = static_cast<std::uint32_t>(layout.high_k(at, key_dim(lane)) |
                                                         layout.high_v(at, value_dim(lane)) << 16);
#pragma unroll 1
    for (int i = lane; i < kHeadDim / 2; i += 32) {
      const std::uint32_t k = RowPair::load(args.fresh.k, token, items.kv_head, key_dim(i));
      const std::uint32_t v = RowPair::load(args.fresh.v, token, items.kv_head, value_dim(i));
      // 0 spoils nothing, and the append behind the call will refuse the token.
      memory[i] = RowPair::is_finite(k) ? k : 0;
      memory[kHeadDim / 2 + i] = RowPair::is_finite(v) ? v : 0;
    }
    __syncwarp();
  }

  // quarter: its shared memory, that of the row. All lanes call it.
  template <bool kKeys>
  __device__ void put(std::uint32_t quarter, int lane) const {
    const std::uint32_t places = memory_[kHeadDim + lane];
#pragma unroll
    for (int j = 0; j < kHeadDim / 64; ++j) {
      if constexpr (kKeys) {
        ptx::store_shared(quarter + (places & 0xffffu) + j * kNext, memory_[32 * j + lane]);
      } else {
        const std::uint32_t pair = memory_[kHeadDim / 2 + 32 * j + lane];
        const std::uint32_t to = quarter + (places >> 16) + j * kNext;
        ptx::store_shared(to, static_cast<std::uint16_t>(pair));
        ptx::store_shared(to + kNextDim, static_cast<std::uint16_t>(pair >> 16));
      }
    }
    // For all lanes, and before what the copy engine will put in its place.
    ptx::fence_async_proxy();
    __syncwarp();
  }

 private:
  // First dim of the i-th pair. From a lane's pair to its next one it is kNext bytes.
  [[nodiscard]] __device__ static constexpr int key_dim(int i) {
    return (i / 32 * 2 + i / 16 % 2) * 32 + i / 2 % 4 * 8 + i / 8 % 2 * 4 + i % 2 * 2;
  }
  [[nodiscard]] __device__ static constexpr int value_dim(int i) { return 2 * i; }
  static constexpr int kNext = 2048;
  static constexpr int kNextDim = 64;  // of V
  // The slot's bits that say where in its quarter it lies, for K and V alike.
  static constexpr unsigned kFirstQuarter = ~0x24u;

  static constexpr DeviceTileLayout kLayout{kHeadDim};
  static_assert(kLayout.high_k(63, 8) - kLayout.high_k(63 & kFirstQuarter, 8) ==
                3 * kLayout.quarter_bytes());
  static_assert(kLayout.high_v(63, 8) - kLayout.high_v(63 & kFirstQuarter, 8) ==
                3 * kLayout.quarter_bytes());
  static_assert(kHeadDim == 64 ||
                kLayout.high_k(5, key_dim(45)) - kLayout.high_k(5, key_dim(13)) == kNext);
  static_assert(kHeadDim == 64 ||
                kLayout.high_v(5, value_dim(45)) - kLayout.high_v(5, value_dim(13)) == kNext);
  static_assert(kLayout.high_v(5, 7) - kLayout.high_v(5, 6) == kNextDim);
  static_assert(kLayout.quarter_bytes() <= 1 << 16);

  std::uint32_t* memory_;
};

}  // namespace thriftattn::cuda
