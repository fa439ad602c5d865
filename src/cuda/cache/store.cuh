// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Puts the rows of an append that fall into one block of one kv head where they belong, and seals
// the block if they fill it. One team of threads does it for K or for V.
//
// Nested, a sequence has room for the rows of one block: a block that is filled leaves none, and
// the one that stays open puts its rows where those of the append's first block were. So one team
// does both, in this order.
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

// The first `count` rows of a block, which are stored, into shared memory.
template <int kHeadDim>
__device__ void gather_stored(Part part, const std::byte* high, int count,
                              BlockRows<kHeadDim>& rows) {
  const DeviceTileLayout layout{kHeadDim};
  for (int chunk = Team::thread(); chunk < layout.high_bytes() / 16; chunk += kAppendThreads) {
    const uint4 loaded = reinterpret_cast<const uint4*>(high)[chunk];
    const std::uint32_t words[4] = {loaded.x, loaded.y, loaded.z, loaded.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const TileElement at = tile_element(layout, part, chunk, i);
      if (at.token >= count) continue;
      rows.half[at.token][at.dim] = static_cast<std::uint16_t>(words[i / 2] >> 16 * (i % 2));
    }
  }
}

// New rows as halves into shared memory, and old ones where the block is filled.
template <int kHeadDim>
__device__ void gather_rows(const ConstTensorView& input, Part part, int head, const NewRows& fresh,
                            const std::byte* high, BlockRows<kHeadDim>& rows) {
  constexpr int kStep = kAppendThreads / kHeadDim;
  const int thread = Team::thread();
  const int d = thread % kHeadDim;
  with_rows(input, [&](auto source) {
#pragma unroll 8
    for (int slot = fresh.first + thread / kHeadDim; slot < fresh.last; slot += kStep) {
      const auto x = source.at(fresh.token + slot - fresh.first, head, d);
      rows.half[slot][d] = source.half_bits(x);
    }
  });
  if (fresh.first == 0 || fresh.last < kBlockTokens) return;
  gather_stored(part, high, fresh.first, rows);
}

// The first rows of a block bring zeros for all slots behind them.
template <int kHeadDim>
__device__ void write_whole_tile(const BlockRows<kHeadDim>& rows, Part part, int used,
                                 std::byte* high) {
  const DeviceTileLayout layout{kHeadDim};
  for (int chunk = Team::thread(); chunk < layout.high_bytes() / 16; chunk += kAppendThreads) {
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
  for (int i = Team::thread(); i < (fresh.last - fresh.first) * kHeadDim; i += kAppendThreads) {
    const int slot = fresh.first + i / kHeadDim;
    const int d = i % kHeadDim;
    const int at = part == Part::kKeys ? layout.high_k(slot, d) : layout.high_v(slot, d);
    *reinterpret_cast<std::uint16_t*>(high + at) = rows.half[slot][d];
  }
}

// Nested, the block that an append of `tokens` leaves open, where that is not its first; else -1.
__device__ inline int block_after_first(const CacheView& view, int length, int tokens) {
  const int last = (length + tokens) / kBlockTokens;
  const bool is_open = (length + tokens) % kBlockTokens != 0;
  return view.nested() && is_open && last != length / kBlockTokens ? last : -1;
}

// K or V of one kv head, and a team's share in sealing it.
struct BlockPart {
  Part part;
  int head;
  SealShare share;

  static __device__ BlockPart of(int index, SealShare share) {
    return {index % 2 == 0 ? Part::kKeys : Part::kValues, index / 2, share};
  }
};

// The blocks of an entry that one team does, in shared memory: registers are scarce while it seals.
struct AppendPiece {
  int entry;
  int length;    // of the sequence before the append
  int block[2];  // in turn; -1 = none
  BlockPart part;

  static __device__ AppendPiece of(const AppendArgs& args, const AppendJob& job,
                                   const BlockPart& part) {
    const int tokens = args.entries[job.entry + 1].begin - args.entries[job.entry].begin;
    const int second = block_after_first(args.view, job.length, tokens);
    const bool is_first = job.block == job.length / kBlockTokens;
    return {job.entry,
            job.length,
            {job.block == second ? -1 : job.block, is_first ? second : -1},
            part};
  }
};

// The high-tier rows of a part of a block.
template <int kHeadDim>
__device__ std::byte* high_rows(const CacheView& view, int sequence, int page,
                                const BlockPart& to) {
  return (to.part == Part::kKeys ? view.high_k : view.high_v) +
         view.rows_cell(sequence, page, to.head) *
             static_cast<std::size_t>(DeviceTileLayout{kHeadDim}.high_bytes());
}

// Seals a block whose rows are gathered, all of them.
template <int kHeadDim>
__device__ void seal_gathered(const CacheView& view, const Numerics& numerics, int page,
                              const BlockPart& to, AppendScratch<kHeadDim>& scratch) {
  const std::size_t cell = view.cell(page, to.head);
  if (to.part == Part::kKeys) {
    seal_keys(scratch.rows, view, cell, numerics, to.share, scratch.seal);
  } else {
    seal_values(scratch.rows, view, cell, numerics, to.share, scratch.seal);
  }
}

template <int kHeadDim>
__device__ void append_to_block(const AppendInput& args, int sequence, int page,
                                const BlockPart& to, const NewRows& fresh,
                                AppendScratch<kHeadDim>& scratch) {
  const bool fills = fresh.last == kBlockTokens;
  std::byte* high = high_rows<kHeadDim>(args.view, sequence, page, to);
  Team::sync();  // the last block's rows are read
  gather_rows(to.part == Part::kKeys ? args.k : args.v, to.part, to.head, fresh, high,
              scratch.rows);
  Team::sync();
  if (to.share.index == 0 && !(fills && args.view.nested())) {
    if (fresh.first == 0) {
      write_whole_tile(scratch.rows, to.part, fresh.last, high);
    } else {
      write_new_rows(scratch.rows, to.part, fresh, high);
    }
  }
  if (fills) seal_gathered(args.view, args.numerics, page, to, scratch);
}

template <int kHeadDim>
__device__ void append_piece(const AppendArgs& args, const AppendPiece& piece,
                             AppendScratch<kHeadDim>& scratch) {
#pragma unroll 1
  for (int turn = 0; turn < 2 && piece.block[turn] >= 0; ++turn) {
    const AppendEntry& entry = args.entries[piece.entry];
    const int block = piece.block[turn];
    const int tokens = args.entries[piece.entry + 1].begin - entry.begin;
    append_to_block(args, entry.sequence, entry.new_page.page_of(args.view, entry.sequence, block),
                    piece.part, NewRows::of(block, piece.length, tokens, entry.begin), scratch);
  }
}

}  // namespace thriftattn::cuda
