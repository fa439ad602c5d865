// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a warp does with one tile in shared memory: scores of 64 tokens, and values times weights.
// Rows (queries) are the 8 columns of the MMA. Lane 4 g + q holds, of rows 2 q and 2 q + 1:
//
//   Scores s[mt][e]: token token_of(2 mt + e / 2, g), row 2 q + e % 2
//   Weights p[w][j]: tokens 32 w + 8 q + 2 j + {0, 1} of row g, half2 (the transposed scores)
//   Sums o[i][e]:    dim 16 i + g + 8 (e / 2), row 2 q + e % 2
#pragma once

#include <cstdint>

#include "cuda/common/fp4.cuh"
#include "cuda/common/ptx.cuh"
#include "cuda/common/tile_layout.h"

namespace thriftattn::cuda {

inline constexpr std::uint32_t kOnes = 0x3c003c00u;  // half2 {1, 1}
inline constexpr float kResidualUp = 1 << kResidualShift;
inline constexpr std::uint32_t kResidualWeights = 0x34003400u;  // half2 {1, 1} 2^-kResidualShift
static_assert(kResidualShift == 2);

template <int kHeadDim>
struct TileMath {
  static constexpr DeviceTileLayout kLayout{kHeadDim};
  static constexpr int kWords = kHeadDim / 32;  // words of codes of a lane's token
  static constexpr int kSteps = kHeadDim / 16;  // MMA steps over head_dim, and row tiles of V

  using Queries = std::uint32_t[kSteps][2];
  using Scores = float[4][4];
  using Weights = std::uint32_t[2][4];
  using Sums = float[kSteps][4];

  __device__ static __forceinline__ void clear(Scores& s) {
#pragma unroll
    for (int i = 0; i < 16; ++i) s[i / 4][i % 4] = 0;
  }

  __device__ static __forceinline__ void scale(Sums& o, const float (&factor)[2]) {
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) o[i][e] *= factor[e % 2];
    }
  }

  // Sixteen of a lane's scale bytes of a tile: each kind of tile has 2 kWords words of them, and a
  // lane needs them in order.
  __device__ static __forceinline__ void load_scales(std::uint32_t at, int chunk, int lane,
                                                     std::uint32_t (&words)[4]) {
    const std::uint32_t mine = at + chunk * 256 + (lane >> 2) * 32 + ((lane >> 1) & 1) * 16;
    const uint4 v = ptx::load_shared16(mine);
    words[0] = v.x, words[1] = v.y, words[2] = v.z, words[3] = v.w;
  }

  // Half2 of scale bytes 2 pair and 2 pair + 1 of a lane, from the sixteen that hold them.
  __device__ static __forceinline__ std::uint32_t scale_pair(const std::uint32_t (&words)[4],
                                                             int pair) {
    const std::uint32_t word = words[pair / 2 % 4];
    return pair % 2 ? ptx::e4m3_high(word) : ptx::e4m3_low(word);
  }

  // One word of dims [32 r, 32 r + 32) of two tokens meets q.
  template <bool kHigh>
  __device__ static __forceinline__ void score_words(std::uint32_t a, std::uint32_t b,
                                                     std::uint32_t scale_a, std::uint32_t scale_b,
                                                     const std::uint32_t (&q)[2],
                                                     const std::uint32_t (&q_next)[2],
                                                     float (&s)[4]) {
    std::uint32_t x[4];
    std::uint32_t y[4];
    decode_codes<kHigh>(a, scale_a, x);
    decode_codes<kHigh>(b, scale_b, y);
    ptx::mma(s, x[0], y[0], x[1], y[1], q[0], q[1]);
    ptx::mma(s, x[2], y[2], x[3], y[3], q_next[0], q_next[1]);
  }

  // s = q . k of the codes of a K tile at `tile`, in units of 2^-14 and of what a scale stands for,
  // or s + that.
  template <bool kAdd>
  __device__ static __forceinline__ void score_low(std::uint32_t tile, const Queries& q, Scores& s,
                                                   int lane) {
    std::uint32_t scales[4];
#pragma unroll
    for (int mt = 0; mt < 4; ++mt) {
      if (2 * mt * kWords % 16 == 0) {
        load_scales(tile + kLayout.k_scales(), 2 * mt * kWords / 16, lane, scales);
      }
      std::uint32_t words[2 * kWords];  // (th, r)
#pragma unroll
      for (int c = 0; c < kWords / 2; ++c) {
        const uint4 v = ptx::load_shared16(tile + ((mt * (kWords / 2) + c) * 32 + lane) * 16);
        words[4 * c] = v.x, words[4 * c + 1] = v.y;
        words[4 * c + 2] = v.z, words[4 * c + 3] = v.w;
      }
#pragma unroll
      for (int e = 0; e < 4 && !kAdd; ++e) s[mt][e] = 0;
#pragma unroll
      for (int r = 0; r < kWords; r += 2) {
        const std::uint32_t scale_a = scale_pair(scales, (2 * mt * kWords + r) / 2);
        const std::uint32_t scale_b = scale_pair(scales, ((2 * mt + 1) * kWords + r) / 2);
        score_words<false>(words[r], words[kWords + r], scale_a, scale_b, q[2 * r], q[2 * r + 1],
                           s[mt]);
        score_words<true>(words[r + 1], words[kWords + r + 1], scale_a, scale_b, q[2 * r + 2],
                          q[2 * r + 3], s[mt]);
      }
    }
  }

  // m[0], m[1] = q . mean of the block, for rows 2 q and 2 q + 1. The mean fills all rows of A, as
  // it comes from memory: dims {0, 1, 4, 5} of eight in the first eight rows, {2, 3, 6, 7} in the
  // rest; each half is met by the queries that belong to it.
  __device__ static __forceinline__ void score_mean(std::uint32_t tile, const Queries& q,
                                                    float (&m)[2], int lane) {
    float first[4] = {};
    float second[4] = {};
#pragma unroll
    for (int r = 0; r < kWords; ++r) {
      const uint4 v = ptx::load_shared16(tile + kLayout.k_mean() + (32 * r + 8 * (lane & 3)) * 2);
      ptx::mma(first, v.x, v.y, v.z, v.w, q[2 * r][0], q[2 * r + 1][0]);
      ptx::mma(second, v.x, v.y, v.z, v.w, q[2 * r][1], q[2 * r + 1][1]);
    }
    m[0] = first[0] + second[2];
    m[1] = first[1] + second[3];
  }

  // s = q . k of one quarter (16 tokens) of high K.
  __device__ static __forceinline__ void score_high(std::uint32_t quarter, const Queries& q,
                                                    float (&s)[4], int lane) {
    float odd[4] = {};
#pragma unroll
    for (int e = 0; e < 4; ++e) s[e] = 0;
#pragma unroll
    for (int step = 0; step < kSteps; step += 2) {
      const uint4 a = ptx::load_shared16(quarter + (step * 32 + lane) * 16);
      const uint4 b = ptx::load_shared16(quarter + ((step + 1) * 32 + lane) * 16);
      ptx::mma(s, a.x, a.y, a.z, a.w, q[step][0], q[step][1]);
      ptx::mma(odd, b.x, b.y, b.z, b.w, q[step + 1][0], q[step + 1][1]);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) s[e] += odd[e];
  }

  // Folds each token's power of two into its weight.
  __device__ static __forceinline__ void weigh_tokens(std::uint32_t tile, Weights& p, int lane) {
    const uint4 v = ptx::load_shared16(tile + kLayout.v_weights() + (lane & 3) * 16);
    const std::uint32_t bytes[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {  // a byte becomes the top byte of a half
      std::uint32_t(&pair)[4] = p[i / 2];
      const int j = i % 2 * 2;
      pair[j] = ptx::multiply_half2(pair[j], __byte_perm(bytes[i], 0, 0x1404));
      pair[j + 1] = ptx::multiply_half2(pair[j + 1], __byte_perm(bytes[i], 0, 0x3424));
    }
  }

  // Weights of the low tile as those that meet its residual.
  __device__ static __forceinline__ void weigh_residual(Weights& p) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      p[i / 4][i % 4] = ptx::multiply_half2(p[i / 4][i % 4], kResidualWeights);
    }
  }

  // o += V p of a V tile, in units of 2^-14.
  __device__ static __forceinline__ void value_low(std::uint32_t tile, const Weights& p, Sums& o,
                                                   int lane) {
    std::uint32_t scales[4];
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      if (i % 4 == 0) load_scales(tile + kLayout.v_scales(), i / 4, lane, scales);
      const uint4 v = ptx::load_shared16(tile + (i * 32 + lane) * 16);  // (dh, w)
      const std::uint32_t scale_a = ptx::e4m3_low(scales[i % 4]);
      const std::uint32_t scale_b = ptx::e4m3_high(scales[i % 4]);
      score_words<false>(v.x, v.z, scale_a, scale_b, {p[0][0], p[0][1]}, {p[0][2], p[0][3]}, o[i]);
      score_words<true>(v.y, v.w, scale_a, scale_b, {p[1][0], p[1][1]}, {p[1][2], p[1][3]}, o[i]);
    }
  }

  // o += V p of one quarter (16 tokens) of high V.
  __device__ static __forceinline__ void value_high(std::uint32_t quarter, std::uint32_t p0,
                                                    std::uint32_t p1, Sums& o, int lane) {
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      const uint4 a = ptx::load_shared16(quarter + (i * 32 + lane) * 16);
      ptx::mma(o[i], a.x, a.y, a.z, a.w, p0, p1);
    }
  }
};

}  // namespace thriftattn::cuda
