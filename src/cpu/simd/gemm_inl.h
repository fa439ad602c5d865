// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// gemm of every vector ISA, register blocked; see kernels_inl.h.
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

// The widest tile of so many rows that fits the registers, a power of two of at most 8 vectors.
constexpr int tile_vecs(int rows) {
  int vecs = 8;
  while (vecs * rows > kAccumulators) vecs /= 2;
  return vecs;
}

template <int kRows, int kVecs>
void gemm_tile(const GemmArgs& args, int row, int lane) {
  const float* a[kRows];
  Vec sums[kRows][kVecs];
  THRIFTATTN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    a[r] = args.a[row + r];
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      sums[r][v] = args.accumulate ? load(args.c[row + r] + lane + v * kLanes) : zero();
    }
  }
  const float* panel = args.panel + lane;
  for (int i = 0; i < args.contraction; ++i, panel += args.lanes) {
    Vec b[kVecs];
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) b[v] = load(panel + v * kLanes);
    THRIFTATTN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec a_ri = broadcast(a[r][i]);
      THRIFTATTN_UNROLL
      for (int v = 0; v < kVecs; ++v) sums[r][v] = multiply_add(a_ri, b[v], sums[r][v]);
    }
  }
  THRIFTATTN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    THRIFTATTN_UNROLL
    for (int v = 0; v < kVecs; ++v) store(args.c[row + r] + lane + v * kLanes, sums[r][v]);
  }
}

// kRows rows of all lanes from `lane` on, in tiles of kVecs vectors, the rest in narrower ones.
template <int kRows, int kVecs = tile_vecs(kRows)>
void gemm_rows(const GemmArgs& args, int row, int lane, int end_lane) {
  for (; lane + kVecs * kLanes <= end_lane; lane += kVecs * kLanes) {
    gemm_tile<kRows, kVecs>(args, row, lane);
  }
  if constexpr (kVecs > kMinVecs) {
    if (lane < end_lane) gemm_rows<kRows, kVecs / 2>(args, row, lane, end_lane);
  }
}

void gemm_some_rows(const GemmArgs& args, int row, int rows, int lane, int end_lane) {
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
void gemm(const GemmArgs& args) {
  const int tiles = (args.rows + kTileRows - 1) / kTileRows;
  const int strip = tiles > 1 ? tile_vecs(kTileRows) * kLanes : args.lanes;
  for (int lane = 0; lane < args.lanes; lane += strip) {
    const int end_lane = lane + strip < args.lanes ? lane + strip : args.lanes;
    for (int tile = 0, row = 0; tile < tiles; ++tile) {
      const int rows = (args.rows - row + tiles - tile - 1) / (tiles - tile);
      gemm_some_rows(args, row, rows, lane, end_lane);
      row += rows;
    }
  }
}

}  // namespace
}  // namespace thriftattn::cpu::THRIFTATTN_SIMD
