// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels of every vector ISA, written once. The including file defines THRIFTATTN_SIMD, the
// namespace of its vec.h, and is the only one of its ISA: all of this has internal linkage.
//
// A lane of a vector is a lane of the panel, so vectors of any width do the same operations in the
// same order.
#pragma once

#include "cpu/simd/gemm_inl.h"
#include "engine/kernel_table.h"

namespace thriftattn::cpu::THRIFTATTN_SIMD {
namespace {

constexpr int kPartials = 16;
constexpr int kPartialVecs = kPartials / kLanes;
constexpr int kBlockVecs = kBlockTokens / kLanes;

// One row of code words at a time. Its eight tables of code * factor stay in the first-level cache.
void unpack_nvfp4(const Nvfp4Panel& panel, const float* factor, const float* bias, float* out) {
  const std::int64_t lanes = panel.lanes;
  for (int first = 0; first < panel.contraction; first += kCodesPerWord) {
    Vec tables[kCodesPerWord];
    for (int i = 0; i < kCodesPerWord; ++i) {
      tables[i] = multiply(code_table(), broadcast(factor[first + i]));
    }
    const std::uint32_t* codes = panel.codes + first / kCodesPerWord * lanes;
    const std::uint8_t* scales = panel.scales + first / kScaleGroup * lanes;
    for (std::int64_t lane = 0; lane < lanes; lane += kLanes) {
      Words words = load_words(codes + lane);
      const Vec scale = load_scales(scales + lane);
      float* column = out + first * lanes + lane;
      THRIFTATTN_UNROLL
      for (int i = 0; i < kCodesPerWord; ++i) {
        const Vec code = look_up(tables[i], words);
        store(column + i * lanes, multiply_add(code, scale, broadcast(bias[first + i])));
        words = next_code(words);
      }
    }
  }
}

THRIFTATTN_INLINE __m256i load_halves(const half_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

void unpack_half(const half_t* in, std::int64_t stride, int rows, int dim, float* out) {
  for (int row = 0; row < rows; ++row) {
    for (int d = 0; d < dim; d += 16) {
      store_halves(out + std::int64_t{row} * dim + d, load_halves(in + row * stride + d));
    }
  }
}

// Eight elements of row j in the low half and of row j + 8 in the high half.
THRIFTATTN_INLINE __m256i load_two_rows(const half_t* in, std::int64_t stride, int j) {
  const auto* low = reinterpret_cast<const __m128i*>(in + j * stride);
  const auto* high = reinterpret_cast<const __m128i*>(in + (j + 8) * stride);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                 _mm_loadu_si128(high), 1);
}

// In each half of the registers, an 8 x 8 transpose of 16-bit elements.
THRIFTATTN_INLINE void transpose_halves(__m256i* r) {
  __m256i pairs[8];
  __m256i quads[8];
  THRIFTATTN_UNROLL
  for (int i = 0; i < 4; ++i) {
    pairs[2 * i] = _mm256_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
  THRIFTATTN_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int from = i / 2 * 4 + i % 2;  // 0, 1, 4, 5: two registers further are the next two rows
    quads[2 * i] = _mm256_unpacklo_epi32(pairs[from], pairs[from + 2]);
    quads[2 * i + 1] = _mm256_unpackhi_epi32(pairs[from], pairs[from + 2]);
  }
  THRIFTATTN_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[2 * i] = _mm256_unpacklo_epi64(quads[i], quads[i + 4]);
    r[2 * i + 1] = _mm256_unpackhi_epi64(quads[i], quads[i + 4]);
  }
}

// Tiles of 16 tokens and 8 elements, turned as halves: half the shuffles that floats would take.
void unpack_half_transposed(const half_t* in, std::int64_t stride, int dim, float* out) {
  for (int token = 0; token < kBlockTokens; token += 16) {
    for (int d = 0; d < dim; d += 8) {
      __m256i tile[8];
      THRIFTATTN_UNROLL
      for (int j = 0; j < 8; ++j) tile[j] = load_two_rows(in + token * stride + d, stride, j);
      transpose_halves(tile);
      THRIFTATTN_UNROLL
      for (int j = 0; j < 8; ++j) store_halves(out + (d + j) * kBlockTokens + token, tile[j]);
    }
  }
}

// exp as kernel_table.h defines it. Below the lowest x the arithmetic gives anything, and is
// replaced by 0.
THRIFTATTN_INLINE Vec exp_of_nonpositive(Vec x) {
  using namespace exp_constants;
  const Vec n = round_to_even(multiply(x, broadcast(kLog2E)));
  const Vec r = multiply_add(n, broadcast(-kLn2Lo), multiply_add(n, broadcast(-kLn2Hi), x));
  Vec p = multiply_add(broadcast(kC6), r, broadcast(kC5));
  p = multiply_add(p, r, broadcast(kC4));
  p = multiply_add(p, r, broadcast(kC3));
  p = multiply_add(p, r, broadcast(kC2));
  p = multiply_add(p, r, broadcast(1.0f));
  p = multiply_add(p, r, broadcast(1.0f));
  return zero_below(scale_by_power(p, n), x, broadcast(kLowest));
}

// The last three halvings of partial sums and maxima.
THRIFTATTN_INLINE float sum_of_8(__m256 x) {
  __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

THRIFTATTN_INLINE float max_of_8(__m256 x) {
  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

// The largest of 64 scores, a zero as +0; anything where one is NaN.
THRIFTATTN_INLINE float max_of(const float* scores) {
  Vec partial[kPartialVecs];
  THRIFTATTN_UNROLL
  for (int v = 0; v < kPartialVecs; ++v) partial[v] = load(scores + v * kLanes);
  THRIFTATTN_UNROLL
  for (int v = kPartialVecs; v < kBlockVecs; ++v) {
    partial[v % kPartialVecs] = larger(partial[v % kPartialVecs], load(scores + v * kLanes));
  }
  return max_of_8(fold_max(partial)) + 0.0f;
}

// The weights of 64 scores, written where `p` is not null; returns their sum.
THRIFTATTN_INLINE float weights(const float* scores, float maximum, float* p) {
  const Vec shift = broadcast(maximum == -__builtin_inff() ? 0.0f : maximum);
  Vec partial[kPartialVecs];
  THRIFTATTN_UNROLL
  for (int v = 0; v < kBlockVecs; ++v) {
    const Vec weight = exp_of_nonpositive(subtract(load(scores + v * kLanes), shift));
    if (p != nullptr) store(p + v * kLanes, weight);
    Vec& sum = partial[v % kPartialVecs];
    sum = v < kPartialVecs ? weight : add(sum, weight);
  }
  return sum_of_8(fold_add(partial));
}

float block_weights(const float* scores, float maximum, float* p) {
  return weights(scores, maximum, p);
}

// A NaN or +inf among the scores makes its weight and so the sum NaN, whatever the maximum is.
void block_softmax(const float* const* scores, int rows, float* maximum, float* sum) {
  for (int row = 0; row < rows; ++row) {
    const float row_maximum = max_of(scores[row]);
    const float row_sum = weights(scores[row], row_maximum, nullptr);
    maximum[row] = row_sum == row_sum ? row_maximum : __builtin_nanf("");
    sum[row] = row_sum;
  }
}

}  // namespace
}  // namespace thriftattn::cpu::THRIFTATTN_SIMD
