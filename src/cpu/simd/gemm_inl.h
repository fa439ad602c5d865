// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// gemm and gemm_nvfp4 of every vector ISA, register blocked; see kernels_inl.h.
//
// A tile of up to 6 rows and kAccumulators / rows vectors of lanes stays in registers over the
// whole contraction. Tiles of the same lanes follow each other: the column of the panel that they
// share stays in the first-level cache.
#pragma once

#include "engine/kernel_table.h"

namespace thriftattn::cpu::THRIFTATTN_SIMD {
namespace {

constexpr int kTileRows = 6;
constexpr int kMinVecs = 16 / kLanes;  // lanes come in multiples of 16
constexpr int kCodesPerWord = 8;

template <class Args>
constexpr int kTileAccumulators = kAccumulators;
template <>
constexpr int kTileAccumulators<GemmNvfp4Args> = kDecodingAccumulators;

// The widest tile of so many rows that fits the registers, a power of two of at most 8 vectors.
template <class Args>
constexpr int tile_vecs(int rows) {
  int vecs = 8;
  while (vecs > 1 && vecs * rows > kTileAccumulators<Args>) vecs /= 2;
  return vecs;
}

// The sums of a tile, and the rows of a that they belong to.
template <int kRows, int kVecs>
struct Tile {
  const float* a[kRows];
  float* c[kRows];
  Vec sums[kRows][kVecs];
};

template <int kRows, int kVecs, class Args>
THRIFTATTN_INLINE void start(Tile<kRows, kVecs>& tile, const Args& args, int row, int lane) {
  THRIFTATTN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    tile.a[r] = args.a[row + r];
    tile.c[r] = args.c[row + r] + lane;
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      tile.sums[r][v] = args.accumulate ? load(tile.c[r] + v * kLanes) : zero();
    }
  }
}

template <int kRows, int kVecs>
THRIFTATTN_INLINE void finish(const Tile<kRows, kVecs>& tile) {
  THRIFTATTN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) store(tile.c[r] + v * kLanes, tile.sums[r][v]);
  }
}

template <int kRows, int kVecs>
void gemm_tile(const GemmArgs& args, int row, int lane) {
  Tile<kRows, kVecs> tile;
  start(tile, args, row, lane);
  const float* panel = args.panel + lane;
  for (int i = 0; i < args.contraction; ++i, panel += args.lanes) {
    Vec b[kVecs];
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) b[v] = load(panel + v * kLanes);
    THRIFTATTN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec a_ri = broadcast(tile.a[r][i]);
      THRIFTATTN_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        tile.sums[r][v] = multiply_add(a_ri, b[v], tile.sums[r][v]);
      }
    }
  }
  finish(tile);
}

// Words and scales of the tile's lanes stay in registers while their codes last.
template <int kRows, int kVecs>
void gemm_tile(const GemmNvfp4Args& args, int row, int lane) {
  Tile<kRows, kVecs> tile;
  start(tile, args, row, lane);
  const std::int64_t lanes = args.panel.lanes;
  for (int first = 0; first < args.panel.contraction; first += kCodesPerWord) {
    const std::uint32_t* codes = args.panel.codes + first / kCodesPerWord * lanes + lane;
    const std::uint8_t* scales = args.panel.scales + first / kScaleGroup * lanes + lane;
    Words words[kVecs];
    Vec scale[kVecs];
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      words[v] = load_words(codes + v * kLanes);
      scale[v] = load_scales(scales + v * kLanes);
    }
    THRIFTATTN_UNROLL
    for (int i = 0; i < kCodesPerWord; ++i) {
      const Vec table = multiply(code_table(), broadcast(args.factor[first + i]));
      const Vec bias = broadcast(args.bias[first + i]);
      THRIFTATTN_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        const Vec b = multiply_add(look_up(table, words[v]), scale[v], bias);
        words[v] = next_code(words[v]);
        THRIFTATTN_UNROLL
        for (int r = 0; r < kRows; ++r) {
          tile.sums[r][v] = multiply_add(broadcast(tile.a[r][first + i]), b, tile.sums[r][v]);
        }
      }
    }
  }
  finish(tile);
}

// kRows rows of all lanes from `lane` on, in tiles of kVecs vectors, the rest in narrower ones.
template <int kRows, class Args, int kVecs = tile_vecs<Args>(kRows)>
void gemm_rows(const Args& args, int row, int lane, int end_lane) {
  for (; lane + kVecs * kLanes <= end_lane; lane += kVecs * kLanes) {
    gemm_tile<kRows, kVecs>(args, row, lane);
  }
  if constexpr (kVecs > kMinVecs) {
    if (lane < end_lane) gemm_rows<kRows, Args, kVecs / 2>(args, row, lane, end_lane);
  }
}

template <class Args>
void gemm_some_rows(const Args& args, int row, int rows, int lane, int end_lane) {
  switch (rows) {
    case 1:
      return gemm_rows<1>(args, row, lane, end_lane);
    case 2:
      return gemm_rows<2>(args, row, lane, end_lane);
    case 3:
      return gemm_rows<3>(args, row, lane, end_lane);
    case 4:
      return gemm_rows<4>(args, row, lane, end_lane);
    case 5:
      return gemm_rows<5>(args, row, lane, end_lane);
    default:
      return gemm_rows<kTileRows>(args, row, lane, end_lane);
  }
}

// Rows in equal tiles (7 are 4 + 3, not 6 + 1). Few rows take all lanes in one go.
template <class Args>
void gemm_all(const Args& args, int lanes) {
  const int tiles = (args.rows + kTileRows - 1) / kTileRows;
  constexpr int kStripVecs = tile_vecs<Args>(kTileRows);
  const int strip = tiles > 1 ? (kStripVecs > kMinVecs ? kStripVecs : kMinVecs) * kLanes : lanes;
  for (int lane = 0; lane < lanes; lane += strip) {
    const int end_lane = lane + strip < lanes ? lane + strip : lanes;
    for (int tile = 0, row = 0; tile < tiles; ++tile) {
      const int rows = (args.rows - row + tiles - tile - 1) / (tiles - tile);
      gemm_some_rows(args, row, rows, lane, end_lane);
      row += rows;
    }
  }
}

void gemm(const GemmArgs& args) { gemm_all(args, args.lanes); }

void gemm_nvfp4(const GemmNvfp4Args& args) { gemm_all(args, args.panel.lanes); }

}  // namespace
}  // namespace thriftattn::cpu::THRIFTATTN_SIMD
