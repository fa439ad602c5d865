// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sixteen floats of AVX-512 (F, BW, DQ, VL), as simd/kernels_inl.h wants them. Only for
// avx512/kernels.cc.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/simd/inline.h"

namespace thriftattn::cpu::avx512 {
namespace {

using Vec = __m512;
using Words = __m512i;

constexpr int kLanes = 16;
constexpr int kAccumulators =
    24;  // of a gemm tile; with four of the panel and one of a, 29 of 32 registers
constexpr int kDecodingAccumulators = 16;  // of a gemm_nvfp4 tile, which holds words and scales too

THRIFTATTN_INLINE Vec zero() { return _mm512_setzero_ps(); }
THRIFTATTN_INLINE Vec broadcast(float x) { return _mm512_set1_ps(x); }
THRIFTATTN_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
THRIFTATTN_INLINE void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
THRIFTATTN_INLINE Vec add(Vec x, Vec y) { return _mm512_add_ps(x, y); }
THRIFTATTN_INLINE Vec subtract(Vec x, Vec y) { return _mm512_sub_ps(x, y); }
THRIFTATTN_INLINE Vec multiply(Vec x, Vec y) { return _mm512_mul_ps(x, y); }
THRIFTATTN_INLINE Vec larger(Vec x, Vec y) { return _mm512_max_ps(x, y); }
THRIFTATTN_INLINE Vec multiply_add(Vec x, Vec y, Vec z) { return _mm512_fmadd_ps(x, y, z); }

THRIFTATTN_INLINE Vec round_to_even(Vec x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x * 2^n for an integral n in [-126, 127].
THRIFTATTN_INLINE Vec scale_by_power(Vec x, Vec n) { return _mm512_scalef_ps(x, n); }

// x where key >= bound or key is NaN, else +0.
THRIFTATTN_INLINE Vec zero_below(Vec x, Vec key, Vec bound) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(key, bound, _CMP_NLT_UQ), x);
}

THRIFTATTN_INLINE Words load_words(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
THRIFTATTN_INLINE Words next_code(Words words) { return _mm512_srli_epi32(words, 4); }

// The values of E2M1, indexed by a code.
THRIFTATTN_INLINE Vec code_table() {
  return _mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f,
                        -2.0f, -3.0f, -4.0f, -6.0f);
}

// The entry for the lowest code of every word. The permute reads four bits and ignores the others.
THRIFTATTN_INLINE Vec look_up(Vec table, Words words) {
  return _mm512_permutexvar_ps(words, table);
}

// Normal, positive E4M3: its seven bits moved to the same place of a float, exponent bias 7 to 127.
THRIFTATTN_INLINE Vec load_scales(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m512i moved = _mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 20);
  return _mm512_castsi512_ps(_mm512_add_epi32(moved, _mm512_set1_epi32((127 - 7) << 23)));
}

// 16 halves to 16 floats.
THRIFTATTN_INLINE void store_halves(float* p, __m256i halves) { store(p, _mm512_cvtph_ps(halves)); }

// The first step of folding 16 partial results.
THRIFTATTN_INLINE __m256 fold_add(const Vec* partial) {
  return _mm256_add_ps(_mm512_castps512_ps256(partial[0]), _mm512_extractf32x8_ps(partial[0], 1));
}
THRIFTATTN_INLINE __m256 fold_max(const Vec* partial) {
  return _mm256_max_ps(_mm512_castps512_ps256(partial[0]), _mm512_extractf32x8_ps(partial[0], 1));
}

}  // namespace
}  // namespace thriftattn::cpu::avx512
