// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Seals one block of one kv head, K or V, with one team of threads: the same values as kv/seal.cc,
// bit for bit, since the codec is the same code (but how it finds a code and its value,
// numeric/e2m1.h), sums in double run in the same order, and nothing is contracted. Their places
// differ (common/tile_layout.h).
//
// A thread quantises groups of 16: 4 head_dim groups each of K and V, some 850 instructions a
// group, and nested as many again for what that leaves. That, and not the bytes, is what the time
// goes to.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/cache/cache_view.h"
#include "cuda/common/ptx.cuh"
#include "cuda/common/tile_layout.h"
#include "numeric/e2m1.h"
#include "numeric/e4m3.h"
#include "numeric/e8m0.h"
#include "numeric/half.h"
#include "numeric/nvfp4.h"
#include "thriftattn/formats.h"

namespace thriftattn::cuda {

inline constexpr int kAppendThreads = 256;  // of a team; at least the largest head_dim

// A CTA's threads in teams of kAppendThreads, which work apart. Threads beyond the last whole team
// belong to none.
struct Team {
  [[nodiscard]] static __device__ int index() {
    return static_cast<int>(threadIdx.x) / kAppendThreads;
  }
  [[nodiscard]] static __device__ int thread() {
    return static_cast<int>(threadIdx.x) % kAppendThreads;
  }
  // All threads of the team meet.
  static __device__ void sync() { ptx::named_barrier(1 + index(), kAppendThreads); }
};

// The rows of a block in shared memory. The odd number of words between rows keeps a warp that
// reads one dim of 32 tokens off each other's banks.
template <int kHeadDim>
struct BlockRows {
  std::uint16_t half[kBlockTokens][kHeadDim + 2];

  __device__ float operator()(int token, int dim) const {
    return __half2float(__ushort_as_half(half[token][dim]));  // finite: as numeric/half.h
  }
};

// Team `index` of `count` that quantise a part together. Each finds means and exponents for itself.
struct SealShare {
  int index = 0;
  int count = 1;
};

struct SealScratch {
  float mean[kMaxHeadDim];    // of K
  float down[kBlockTokens];   // of V: 2^-exponent of a token
  unsigned int largest_bits;  // largest magnitude: non-negative floats are in order of their bits
  int largest_exponent;
};

// Exponents of tokens are clamped as in kv/seal.cc.
inline constexpr int kMinTokenExponent = -100;
inline constexpr int kMaxTokenShift = 16;
inline constexpr int kTokenExponentRange = 14;
inline constexpr int kHalfBias = 15;

// A group as two words of a tile.
struct PackedGroup {
  std::uint8_t scale = 0;
  std::uint32_t words[2] = {};

  __device__ void set_code(int i, std::uint32_t code) {
    words[i / kCodesPerWord] |= pack_code(code, i % kCodesPerWord);
  }
  [[nodiscard]] __device__ std::uint32_t code(int i) const {
    return unpack_code(words[i / kCodesPerWord], i % kCodesPerWord);
  }
};

// Where a group's first word and its scale lie in a tile, in bytes; in its residual too.
struct GroupPlace {
  int word = 0;
  int scale = 0;
};

// Quantises a group into its tile and, where there is one, what that leaves into the residual. x is
// used up. Differences are exact (kv/seal.cc).
__device__ inline void seal_group(float (&x)[kScaleGroup], ScaleRule rule, const GroupPlace& place,
                                  std::byte* tile, std::byte* residual) {
#pragma unroll 1
  for (std::byte* to = tile;; to = residual) {
    const PackedGroup packed = numeric::quantize_group<PackedGroup>(x, rule);
    for (int w = 0; w < 2; ++w) {
      *reinterpret_cast<std::uint32_t*>(to + place.word + w * kNextWordBytes) = packed.words[w];
    }
    to[place.scale] = std::byte{packed.scale};
    if (residual == nullptr || to == residual) return;
    const float scale = numeric::e4m3_to_float(packed.scale);
#pragma unroll
    for (int i = 0; i < kScaleGroup; ++i) {
      const float decoded =
          numeric::e2m1_to_float(static_cast<std::uint8_t>(packed.code(i))) * scale;
      x[i] = (x[i] - decoded) * static_cast<float>(1 << kResidualShift);
    }
  }
}

// Largest of the team's magnitudes into scratch.largest_bits, which must be 0. Ends with a barrier.
__device__ inline void reduce_largest(float magnitude, SealScratch& scratch) {
  const unsigned int bits = __reduce_max_sync(~0u, __float_as_uint(magnitude));
  if (threadIdx.x % 32 == 0) atomicMax(&scratch.largest_bits, bits);
  Team::sync();
}

// The mean of each dim and, where wanted, its bounds. One thread a dim.
template <int kHeadDim>
__device__ void summarize_keys(const BlockRows<kHeadDim>& rows, const CacheView& view,
                               std::size_t cell, bool centre, SealScratch& scratch) {
  const int d = Team::thread();
  if (d >= kHeadDim) return;
  double sum = 0;
  float low = __uint_as_float(0x7f800000u);
  float high = -low;
#pragma unroll 16
  for (int t = 0; t < kBlockTokens; ++t) {
    const float x = rows(t, d);
    sum += x;
    low = x < low ? x : low;
    high = high < x ? x : high;
  }
  const half_t mean = numeric::float_to_half(static_cast<float>(sum / kBlockTokens));
  const half_t stored = centre ? mean : half_t{0};
  const DeviceTileLayout layout{kHeadDim};
  view.block_mean[cell * kHeadDim + d] = mean;
  reinterpret_cast<half_t*>(view.low_k + cell * layout.k_bytes() + layout.k_mean())[d] = stored;
  scratch.mean[d] = numeric::half_to_float(stored);
  if (view.k_min == nullptr) return;
  view.k_min[cell * kHeadDim + d] = low;
  view.k_max[cell * kHeadDim + d] = high;
}

template <int kHeadDim>
__device__ void seal_keys(const BlockRows<kHeadDim>& rows, const CacheView& view, std::size_t cell,
                          const Numerics& numerics, SealShare share, SealScratch& scratch) {
  const DeviceTileLayout layout{kHeadDim};
  std::byte* tile = view.low_k + cell * layout.k_bytes();
  std::byte* residual = view.nested() ? view.residual_k + cell * layout.residual_bytes() : nullptr;
  const int thread = Team::thread();
  if (thread == 0) scratch.largest_bits = 0;
  summarize_keys(rows, view, cell, numerics.centre_k, scratch);
  Team::sync();

  float amax = 0;
#pragma unroll 8
  for (int i = thread; i < kBlockTokens * kHeadDim; i += kAppendThreads) {
    const int d = i % kHeadDim;
    amax = fmaxf(amax, fabsf(rows(i / kHeadDim, d) - scratch.mean[d]));
  }
  reduce_largest(amax, scratch);
  const int exponent =
      numeric::scale_exponent(__uint_as_float(scratch.largest_bits), numerics.scale_rule);
  const float down = numeric::power_of_two(-exponent);

  // A warp takes 32 tokens of one group of dims.
  for (int i = thread + share.index * kAppendThreads; i < kBlockTokens * kHeadDim / kScaleGroup;
       i += share.count * kAppendThreads) {
    const int token = i % kBlockTokens;
    const int group = i / kBlockTokens;
    float x[kScaleGroup];
#pragma unroll
    for (int j = 0; j < kScaleGroup; ++j) {
      const int d = group * kScaleGroup + j;
      x[j] = (rows(token, d) - scratch.mean[d]) * down;
    }
    const int t = token / 32 * 4 + token % 8 / 2;
    const int g = token % 32 / 8 * 2 + token % 2;
    const GroupPlace place{layout.k_word(t, g, 2 * group),
                           layout.k_scales() + layout.k_scale(t, g, group)};
    seal_group(x, numerics.scale_rule, place, tile, residual);
  }
  if (thread == 0) {
    auto* header = reinterpret_cast<BlockHeader*>(tile + layout.k_header());
    header->k_factor = numeric::power_of_two(exponent);
  }
}

struct TokenNorm {
  float amax = 0;
  int exponent = 0;
};

// The exponent is that of the power of two next to rms(row), by the exact rule
// 2^(e - 1/2) <= rms < 2^(e + 1/2). The square of a half is exact in fp32.
template <int kHeadDim>
__device__ TokenNorm token_norm(const BlockRows<kHeadDim>& rows, int token) {
  TokenNorm norm;
  double squares = 0;
#pragma unroll 16
  for (int d = 0; d < kHeadDim; ++d) {
    const float x = rows(token, d);
    norm.amax = fmaxf(norm.amax, fabsf(x));
    squares += x * x;
  }
  norm.exponent = kMinTokenExponent;
  if (squares == 0) return norm;
  int exponent = 0;
  frexp(squares / kHeadDim, &exponent);
  norm.exponent = max(exponent >> 1, kMinTokenExponent);
  return norm;
}

// Exponents of the tokens into scratch.down and the tile's weights. One thread a token.
template <int kHeadDim>
__device__ void value_exponents(const BlockRows<kHeadDim>& rows, const CacheView& view,
                                std::size_t cell, const Numerics& numerics, SealScratch& scratch) {
  const DeviceTileLayout layout{kHeadDim};
  const int token = Team::thread();
  const bool active = token < kBlockTokens;
  if (token == 0) {
    scratch.largest_bits = 0;
    scratch.largest_exponent = kMinTokenExponent;
  }
  Team::sync();
  TokenNorm norm;
  if (active) norm = token_norm(rows, token);
  if (!numerics.token_norms) norm.exponent = 0;  // for all
  if (numerics.token_norms && active) atomicMax(&scratch.largest_exponent, norm.exponent);
  Team::sync();
  int exponent = norm.exponent;
  int largest = 0;
  if (numerics.token_norms) {
    largest = scratch.largest_exponent;
    exponent = max(exponent, largest - kTokenExponentRange);
  }
  reduce_largest(active ? norm.amax * numeric::power_of_two(-exponent) : 0.0f, scratch);
  int shift = numeric::scale_exponent(__uint_as_float(scratch.largest_bits), numerics.scale_rule);
  if (numerics.token_norms) shift = min(max(shift, -kMaxTokenShift), kMaxTokenShift);
  if (active) {
    scratch.down[token] = numeric::power_of_two(-(exponent + shift));
    view.low_v[cell * layout.v_bytes() + layout.v_weights() + layout.v_weight(token)] =
        static_cast<std::byte>((kHalfBias + exponent - largest) << 2);
  }
  if (token == 0) {
    auto* header =
        reinterpret_cast<BlockHeader*>(view.low_k + cell * layout.k_bytes() + layout.k_header());
    header->v_exponent = static_cast<float>(largest + shift);
  }
  Team::sync();
}

template <int kHeadDim>
__device__ void seal_values(const BlockRows<kHeadDim>& rows, const CacheView& view,
                            std::size_t cell, const Numerics& numerics, SealShare share,
                            SealScratch& scratch) {
  const DeviceTileLayout layout{kHeadDim};
  std::byte* tile = view.low_v + cell * layout.v_bytes();
  std::byte* residual = view.nested() ? view.residual_v + cell * layout.residual_bytes() : nullptr;
  value_exponents(rows, view, cell, numerics, scratch);

  // A warp takes 32 dims of one group of tokens.
  for (int i = Team::thread() + share.index * kAppendThreads;
       i < kBlockTokens / kScaleGroup * kHeadDim; i += share.count * kAppendThreads) {
    const int dim = i % kHeadDim;
    const int group = i / kHeadDim;
    float x[kScaleGroup];
#pragma unroll
    for (int j = 0; j < kScaleGroup; ++j) {
      const int token = group * kScaleGroup + j;
      x[j] = rows(token, dim) * scratch.down[token];
    }
    const GroupPlace place{layout.v_word(dim, 2 * group),
                           layout.v_scales() + layout.v_scale(dim, group)};
    seal_group(x, numerics.scale_rule, place, tile, residual);
  }
}

}  // namespace thriftattn::cuda
