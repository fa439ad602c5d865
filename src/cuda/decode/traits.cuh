// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Every number of the decode kernel. One CTA fills an SM; each warp has rings of its own.
#pragma once

#include <cstdint>

#include "cuda/common/tile_layout.h"
#include "cuda/decode/partition.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Of parts of a panel, in shared memory: [8] each by row. A part's sums are relative to
// 2^reference; its factor brings them to the panel's reference, the highest.
struct States {
  static constexpr int kFloats = 4 * kPanelRows;
  float* first;

  [[nodiscard]] __device__ States from(int part) const { return {first + part * kFloats}; }
  [[nodiscard]] __device__ float* reference(int part) const { return first + part * kFloats; }
  [[nodiscard]] __device__ float* sum(int part) const { return reference(part) + kPanelRows; }
  [[nodiscard]] __device__ float* used(int part) const { return reference(part) + 2 * kPanelRows; }
  [[nodiscard]] __device__ float* factor(int part) const {
    return reference(part) + 3 * kPanelRows;
  }
};

// Where the tail is cut the kernels are their own: what finds the cut is an eighth of their code,
// which a launch asks for whether it runs or not.
template <int kDim, Phase kWhat, HighTier kHigh, bool kCuts = false>
struct DecodeTraits {
  static constexpr int kHeadDim = kDim;
  static constexpr Phase kPhase = kWhat;
  static constexpr HighTier kTier = kHigh;
  static constexpr bool kNested = kTier == HighTier::kNested;
  static constexpr bool kCutsTail = kCuts;  // V of the tail is not read, see TailBy
  static constexpr DeviceTileLayout kLayout{kDim};
  static constexpr bool kValues = kPhase != Phase::kScore;
  static constexpr bool kLowTier = kPhase != Phase::kDense;

  static_assert(kPhase == Phase::kAttend || !kCutsTail);
  static_assert(kLowTier || !kNested, "a nested cache is dense where all of it is promoted");

  // Bytes in flight against warps to compute: measured in docs/kernels/sm90a.md.
  static constexpr int kMaxWarps = kDim == 256 ? 7 : 12;
  static_assert(kMaxWarps <= kMaxCtaWarps);
  static constexpr int kKeyStages = kDim == 64 ? 4 : 2;
  static constexpr int kValueStages = !kValues                  ? 0
                                      : kDim == 64              ? 2
                                      : kLowTier || kDim == 256 ? 1
                                                                : 2;

  static constexpr int max(int a, int b) { return a > b ? a : b; }
  static constexpr int kKeyStageBytes =
      max(kLowTier ? kLayout.k_bytes() : 0, kLayout.quarter_bytes());
  static constexpr int kValueStageBytes =
      max(kLowTier ? kLayout.v_bytes() : 0, kLayout.quarter_bytes());
  // At the end of its run the memory of a warp's value ring holds its sums [8 rows, head_dim].
  static constexpr int kEndBytes = kValues ? kPanelRows * kDim * 4 : 0;
  static constexpr int kValueBytes = max(kValueStages * kValueStageBytes, kEndBytes);
  static constexpr int kWarpBytes = kKeyStages * kKeyStageBytes + kValueBytes;
  static_assert(kKeyStageBytes % kTileAlignment == 0 && kWarpBytes % kTileAlignment == 0);
  static constexpr int kAnchorFloats = kCutsTail ? (kWindowPanels + 1) * kPanelRows : 0;
  static constexpr int kScratchWords = 32;  // to add up over warps

  static constexpr int shared_bytes(int warps) {
    const int warp = kWarpBytes + (kKeyStages + kValueStages) * 8 +
                     kKeyStages * static_cast<int>(sizeof(Item)) + kAnchorFloats * 4;
    return warps * warp + (kMaxPieces * States::kFloats + kScratchWords) * 4;
  }
  // The share is static.
  static_assert(shared_bytes(kMaxWarps) + static_cast<int>(sizeof(Share)) + 128 <= 227 * 1024);
};

}  // namespace thriftattn::cuda
