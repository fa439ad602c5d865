// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The row of a token that the call appends, put where it belongs in a quarter of its block that has
// come to shared memory: in the cache it is not yet. So attend waits for no append in front of it.
// K and V of it wait in shared memory: the loop that puts them there has to stay small.
#pragma once

#include "cuda/cache/row_pair.cuh"
#include "cuda/decode/panel_items.cuh"
#include "cuda/decode/row_places.h"

namespace thriftattn::cuda {

template <int kHeadDim>
class FreshRow {
 public:
  // Of shared memory: pairs of K and pairs of V, each in the order of their places, and where the
  // first ones of each lane belong.
  static constexpr int kWords = kHeadDim + 32;

  explicit __device__ FreshRow(std::uint32_t* memory) : memory_(memory) {}

  // Asks for the call's rows while the shares are worked out.
  __device__ static void prefetch(const DecodeArgs& args) {
    constexpr int kSector = 16;  // values
    constexpr int kSectors = kHeadDim / kSector;
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const int head = i / kSectors / 2;
    const ConstTensorView& from = i / kSectors % 2 == 0 ? args.fresh.k : args.fresh.v;
    if (head >= args.cache.kv_heads * static_cast<int>(from.tokens)) return;
    ptx::prefetch_l2(RowPair::at(from, head / args.cache.kv_heads, head % args.cache.kv_heads,
                                 i % kSectors * kSector));
  }

  // Reads the panel's row. All lanes call it. Out of the way of the code that every call runs.
  __device__ __noinline__ static void load(const DecodeArgs& args, const PanelItems& items,
                                           std::uint32_t* memory) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const DeviceTileLayout layout{kHeadDim};
    const int token = args.shape.q_begin[items.entry];
    const auto slot = static_cast<unsigned>(items.length - 1) % kBlockTokens;
    const int at = static_cast<int>(in_first_quarter(slot));
    __syncwarp();
    memory[kHeadDim + lane] =
        static_cast<std::uint32_t>(layout.high_k(at, Places::key_dim(lane)) |
                                   layout.high_v(at, Places::value_dim(lane)) << 16);
#pragma unroll
    for (int i = lane; i < kHeadDim / 2; i += 32) {
      const std::uint32_t k = RowPair::load(args.fresh.k, token, items.kv_head, Places::key_dim(i));
      const std::uint32_t v =
          RowPair::load(args.fresh.v, token, items.kv_head, Places::value_dim(i));
      // 0 spoils nothing, and the append will refuse the token.
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
        ptx::store_shared(quarter + (places & 0xffffu) + j * Places::kNext, memory_[32 * j + lane]);
      } else {
        const std::uint32_t pair = memory_[kHeadDim / 2 + 32 * j + lane];
        const std::uint32_t to = quarter + (places >> 16) + j * Places::kNext;
        ptx::store_shared(to, static_cast<std::uint16_t>(pair));
        ptx::store_shared(to + Places::kNextDim, static_cast<std::uint16_t>(pair >> 16));
      }
    }
    // For all lanes, and before what the copy engine will put in its place.
    ptx::fence_async_proxy();
    __syncwarp();
  }

 private:
  using Places = RowPlaces<kHeadDim>;
  static_assert(DeviceTileLayout{kHeadDim}.quarter_bytes() <= 1 << 16);  // two in a word

  std::uint32_t* memory_;
};

}  // namespace thriftattn::cuda
