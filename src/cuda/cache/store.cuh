// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Puts the rows of an append that fall into one block of one kv head where they belong, and seals
// the block if they fill it. One CTA does it for K or for V.
#pragma once

#include <cstdint>

#include "cuda/cache/append.h"
#include "cuda/cache/fault.cuh"
#include "cuda/cache/seal.cuh"

namespace thriftattn::cuda {

enum class Part : std::uint8_t { kKeys, kValues };

// Slots [first, last) of the block are new; slot `first` gets row `token` of the call.
struct NewRows {
  int first = 0;
  int last = 0;
  int token = 0;

  static __device__ NewRows of(int block, int length, int tokens, int begin) {
    const int start = block * kBlockTokens;
    const int first = max(length - start, 0);
    return {first, min(length + tokens - start, kBlockTokens), begin + start + first - length};
  }
};

template <int kHeadDim>
struct alignas(16) AppendScratch {
  BlockRows<kHeadDim> rows;
  SealScratch seal;
};

__device__ inline TileElement tile_element(DeviceTileLayout layout, Part part, int chunk, int i) {
  return part == Part::kKeys ? layout.high_k_element(chunk, i) : layout.high_v_element(chunk, i);
}

// New rows as halves into shared memory, zeros behind them, and old ones where `old_too`.
template <int kHeadDim>
__device__ void gather_rows(const ConstTensorView& input, Part part, int head, const NewRows& fresh,
                            const std::byte* high, BlockRows<kHeadDim>& rows) {
  constexpr int kStep = kAppendThreads / kHeadDim;
  const int thread = static_cast<int>(threadIdx.x);
  const int d = thread % kHeadDim;
  with_rows(input, [&](auto source) {
#pragma unroll 8
    for (int slot = fresh.first + thread / kHeadDim; slot < fresh.last; slot += kStep) {
      const auto x = source.at(fresh.token + slot - fresh.first, head, d);
      rows.half[slot][d] = source.half_bits(x);
    }
  });
  if (fresh.first == 0 || fresh.last < kBlockTokens) return;
  const DeviceTileLayout layout{kHeadDim};
  for (int chunk = thread; chunk < layout.high_bytes() / 16; chunk += kAppendThreads) {
    const uint4 loaded = reinterpret_cast<const uint4*>(high)[chunk];
    const std::uint32_t words[4] = {loaded.x, loaded.y, loaded.z, loaded.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const TileElement at = tile_element(layout, part, chunk, i);
      if (at.token >= fresh.first) continue;
      rows.half[at.token][at.dim] = static_cast<std::uint16_t>(words[i / 2] >> 16 * (i % 2));
    }
  }
}

// The first rows of a block bring zeros for all slots behind them.
template <int kHeadDim>
__device__ void write_whole_tile(const BlockRows<kHeadDim>& rows, Part part, int used,
                                 std::byte* high) {
  const DeviceTileLayout layout{kHeadDim};
  for (int chunk = static_cast<int>(threadIdx.x); chunk < layout.high_bytes() / 16;
       chunk += kAppendThreads) {
    std::uint32_t words[4] = {};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const TileElement at = tile_element(layout, part, chunk, i);
      if (at.token >= used) continue;
      words[i / 2] |= std::uint32_t{rows.half[at.token][at.dim]} << 16 * (i % 2);
    }
    reinterpret_cast<uint4*>(high)[chunk] = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

template <int kHeadDim>
__device__ void write_new_rows(const BlockRows<kHeadDim>& rows, Part part, const NewRows& fresh,
                               std::byte* high) {
  const DeviceTileLayout layout{kHeadDim};
  for (int i = static_cast<int>(threadIdx.x); i < (fresh.last - fresh.first) * kHeadDim;
       i += kAppendThreads) {
    const int slot = fresh.first + i / kHeadDim;
    const int d = i % kHeadDim;
    const int at = part == Part::kKeys ? layout.high_k(slot, d) : layout.high_v(slot, d);
    *reinterpret_cast<std::uint16_t*>(high + at) = rows.half[slot][d];
  }
}

// K or V of one kv head of one page, and the CTA's share in sealing it.
struct BlockPart {
  const AppendArgs& args;
  Part part = Part::kKeys;
  int head = 0;
  int page = 0;
  Share share = {};
};

template <int kHeadDim>
__device__ void append_to_block(const BlockPart& to, const NewRows& fresh,
                                AppendScratch<kHeadDim>& scratch) {
  const CacheView& view = to.args.view;
  const DeviceTileLayout layout{kHeadDim};
  const std::size_t cell = view.cell(to.page, to.head);
  const bool keys = to.part == Part::kKeys;
  std::byte* high =
      (keys ? view.high_k : view.high_v) + cell * static_cast<std::size_t>(layout.high_bytes());
  __syncthreads();  // the last block's rows are read
  gather_rows(keys ? to.args.k : to.args.v, to.part, to.head, fresh, high, scratch.rows);
  __syncthreads();
  if (to.share.index == 0) {
    if (fresh.first == 0) {
      write_whole_tile(scratch.rows, to.part, fresh.last, high);
    } else {
      write_new_rows(scratch.rows, to.part, fresh, high);
    }
  }
  if (fresh.last < kBlockTokens) return;
  if (keys) {
    seal_keys(scratch.rows, view, cell, to.args.numerics, to.share, scratch.seal);
  } else {
    seal_values(scratch.rows, view, cell, to.args.numerics, to.share, scratch.seal);
  }
}

}  // namespace thriftattn::cuda
