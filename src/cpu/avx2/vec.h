// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Eight floats of AVX2 with FMA and F16C, as simd/kernels_inl.h wants them. Only for
// avx2/kernels.cc.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/simd/inline.h"

namespace thriftattn::cpu::avx2 {
namespace {

using Vec = __m256;
using Words = __m256i;

constexpr int kLanes = 8;
constexpr int kAccumulators =
    12;  // of a gemm tile; with two of the panel and one of a, 15 of 16 registers
constexpr int kDecodingAccumulators = 6;  // of a gemm_nvfp4 tile, which holds words and scales too

THRIFTATTN_INLINE Vec zero() { return _mm256_setzero_ps(); }
THRIFTATTN_INLINE Vec broadcast(float x) { return _mm256_set1_ps(x); }
THRIFTATTN_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
THRIFTATTN_INLINE void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
THRIFTATTN_INLINE Vec add(Vec x, Vec y) { return _mm256_add_ps(x, y); }
THRIFTATTN_INLINE Vec subtract(Vec x, Vec y) { return _mm256_sub_ps(x, y); }
THRIFTATTN_INLINE Vec multiply(Vec x, Vec y) { return _mm256_mul_ps(x, y); }
THRIFTATTN_INLINE Vec larger(Vec x, Vec y) { return _mm256_max_ps(x, y); }
THRIFTATTN_INLINE Vec multiply_add(Vec x, Vec y, Vec z) { return _mm256_fmadd_ps(x, y, z); }

THRIFTATTN_INLINE Vec round_to_even(Vec x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x * 2^n for an integral n in [-126, 127].
THRIFTATTN_INLINE Vec scale_by_power(Vec x, Vec n) {
  const Words biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
}

// x where key >= bound or key is NaN, else +0.
THRIFTATTN_INLINE Vec zero_below(Vec x, Vec key, Vec bound) {
  return _mm256_and_ps(x, _mm256_cmp_ps(key, bound, _CMP_NLT_UQ));
}

THRIFTATTN_INLINE Words load_words(const std::uint32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
THRIFTATTN_INLINE Words next_code(Words words) { return _mm256_srli_epi32(words, 4); }

// The magnitudes of E2M1, indexed by bits 0..2 of a code.
THRIFTATTN_INLINE Vec code_table() {
  return _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
}

// The entry for the lowest code of every word. The permute reads three bits and ignores the others.
THRIFTATTN_INLINE Vec look_up(Vec table, Words words) {
  const Vec sign =
      _mm256_and_ps(_mm256_castsi256_ps(_mm256_slli_epi32(words, 28)), _mm256_set1_ps(-0.0f));
  return _mm256_xor_ps(_mm256_permutevar8x32_ps(table, words), sign);
}

// Normal, positive E4M3: its seven bits moved to the same place of a float, exponent bias 7 to 127.
THRIFTATTN_INLINE Vec load_scales(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  const __m256i moved = _mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 20);
  return _mm256_castsi256_ps(_mm256_add_epi32(moved, _mm256_set1_epi32((127 - 7) << 23)));
}

// 16 halves to 16 floats.
THRIFTATTN_INLINE void store_halves(float* p, __m256i halves) {
  store(p, _mm256_cvtph_ps(_mm256_castsi256_si128(halves)));
  store(p + kLanes, _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)));
}

// The first step of folding 16 partial results.
THRIFTATTN_INLINE __m256 fold_add(const Vec* partial) { return add(partial[0], partial[1]); }
THRIFTATTN_INLINE __m256 fold_max(const Vec* partial) { return larger(partial[0], partial[1]); }

}  // namespace
}  // namespace thriftattn::cpu::avx2
