// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The operations that an instruction set provides. Each has one definition, down to the order of
// every sum, so all ISAs give the same bits; src/cpu/scalar is the readable form of it.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"

namespace thriftattn {

// c[r][lane] (+)= sum over i of a[r][i] * panel[i][lane], one fused multiply-add after the other in
// order of i. The result of a row does not depend on the other rows.
struct GemmArgs {
  const float* const* a = nullptr;  // [rows] pointers to [contraction]
  int rows = 0;
  const float* panel = nullptr;  // [contraction, lanes]
  int contraction = 0;
  int lanes = 0;              // a multiple of 16
  float* const* c = nullptr;  // [rows] pointers to [lanes]
  bool accumulate = false;    // start from c instead of 0
};

// The same product with an operand that is still in codes: panel[i][lane] = fma(code * factor[i],
// scale, bias[i]), as unpack_nvfp4 defines it.
struct GemmNvfp4Args {
  const float* const* a = nullptr;  // [rows] pointers to [panel.contraction]
  int rows = 0;
  Nvfp4Panel panel;
  const float* factor = nullptr;  // [panel.contraction]
  const float* bias = nullptr;    // [panel.contraction]
  float* const* c = nullptr;      // [rows] pointers to [panel.lanes]
  bool accumulate = false;        // start from c instead of 0
};

struct KernelTable {
  const char* name;

  // out[i][lane] = fma(code * factor[i], scale, bias[i]); out: [contraction, lanes].
  void (*unpack_nvfp4)(const Nvfp4Panel& panel, const float* factor, const float* bias, float* out);
  // Half rows to fp32: out [rows, dim]; stride in elements, dim a multiple of 16.
  void (*unpack_half)(const half_t* in, std::int64_t stride, int rows, int dim, float* out);
  // The same, transposed: out [dim, 64] from 64 rows.
  void (*unpack_half_transposed)(const half_t* in, std::int64_t stride, int dim, float* out);
  void (*gemm)(const GemmArgs& args);
  // unpack_nvfp4 and gemm in one, to the bit. No panel is written, but every few rows decode anew:
  // it is the faster way for up to decoding_rows rows.
  void (*gemm_nvfp4)(const GemmNvfp4Args& args);
  int decoding_rows;

  // For each of `rows` rows of 64 scores: maximum[r] = max (a zero is +0), sum[r] = sum of
  // exp(score - max); -inf and 0 where all are -inf. A score of NaN or +inf makes both NaN. The sum
  // is taken over 16 interleaved partial sums (score i goes to partial i % 16, in order), which are
  // then halved 16 -> 8 -> 4 -> 2 -> 1 (partial j += partial j + half).
  void (*block_softmax)(const float* const* scores, int rows, float* maximum, float* sum);
  // p[i] = exp(scores[i] - maximum) for 64 scores <= maximum; returns their sum, in the order
  // above. A maximum of -inf (no visible score) gives zeros.
  float (*block_weights)(const float* scores, float maximum, float* p);
};

// exp(x) for x <= 0 of every ISA: 0 where x < -87, NaN where x is NaN, else with n =
// round-to-nearest-even(x * log2(e)) and r = fma(n, -ln2_lo, fma(n, -ln2_hi, x)) the polynomial 1 +
// r + kC2 r^2 + .. + kC6 r^6 by Horner's rule with fma, times 2^n. No step is subnormal. The result
// is within 1 ulp of the true value.
namespace exp_constants {
inline constexpr float kLowest = -87.0f;
inline constexpr float kLog2E = 1.44269504088896341f;
inline constexpr float kLn2Hi = 0.693359375f;
inline constexpr float kLn2Lo = -2.12194440e-4f;
// exp(r) on [-ln2/2, ln2/2]: minimax for 1 and 1 as the first coefficients; relative error 2^-28
// before rounding.
inline constexpr float kC6 = 0x1.6a4b36p-10f;
inline constexpr float kC5 = 0x1.12398ep-7f;
inline constexpr float kC4 = 0x1.5558b2p-5f;
inline constexpr float kC3 = 0x1.555492p-3f;
inline constexpr float kC2 = 0x1.fffffcp-2f;
}  // namespace exp_constants

// The table of the active ISA (see device.h), or nullptr where THRIFTATTN_ISA names one that cannot
// run.
const KernelTable* active_kernels();

namespace cpu {
const KernelTable* scalar_kernels();
const KernelTable* avx2_kernels();    // nullptr where the build has no AVX2
const KernelTable* avx512_kernels();  // nullptr where the build has no AVX-512
}  // namespace cpu

}  // namespace thriftattn
