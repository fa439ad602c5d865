// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How far fp32 attention may be from the exact answer over the same stored operands.
//
// u = 2^-24, gamma(n) = n u / (1 - n u). In exact arithmetic p_j = exp(s_j - lse), out = sum p_j
// v_j over the keys outside the tail (p renormalised). What fp32 makes of it:
//
//   score      q is scaled (one rounding, and one or two in the scale itself), a low-tier k is one
//   fma away from
//              exact, and the dot is head_dim fused multiply-adds in a row:
//              |s'_j - s_j| <= gamma(head_dim + 5) * scale * sum |q_d k_d|
//              A nested k is two dots in a row, low tier and residual: gamma(2 head_dim + 5), and
//              |k_d| is |k_low| + |k_residual| (Key::k_dots, Key::score_abs).
//   weight     exp(s' - m): the difference is rounded (u |s_j - m|) and exp is within 2^-23 (1
//   ulp). The masses and lse take
//              a second factor, exp(m_block - m), and round its product. So for either
//              w'_j = w_j (1 + d_j), |d_j| <= D_j = expm1(score + 2 u |s_j - m| + 2 * 2^-23 + 4 u)
//              m cancels exactly: numerator and denominator use the same one.
//   sums       the numerator is one chain of fmas over a split (at most 64 split_blocks keys), then
//   one add a split:
//              relative gN = gamma(min(keys, 64 split_blocks) + splits + 2) for each term. The
//              denominator sums 64 weights in 16 partials (8 additions deep), then blocks, then
//              splits: gL = gamma(8 + split_blocks + splits + 2); lse adds up all blocks in a row:
//              gamma(8 + blocks + 2). A nested v is two terms of the chain: twice the keys, and
//              |v_j| is |v_low| + |v_residual| (Key::v_dots, Key::v_abs).
//   quotient   out' - out = [sum p_j d_j (v_j - out) + sum p_j (1 + d_j) (n_j v_j - l_j out)] / (1
//   + ...), since
//              sum p_j (v_j - out) = 0. So
//              |out' - out| <= [sum p_j (D_j |v_j - out| + (1 + D_j)(gN |v_j| + gL |out|))]
//                              / (1 - sum p_j (D_j + gL (1 + D_j)))
//              plus the division and the rounding to the output's type.
//   w4a4       weights that meet a low-tier V are rounded to NVFP4 after the token norms n_j are
//   folded in: each is
//              off by at most .18 of the largest n_j w_j of its 16 (half a step of amax / 6, or the
//              clipping of amax when its scale rounds down by 1/16), or 2^-6 / 2688 of the block's
//              largest norm where the scale is at its minimum. Numerator and denominator take the
//              rounded weights, so it acts like d_j.
//   underflow  exp is 0 below -87 and tiny products may be flushed: keys * 2^-124 * max |v|.
//
// A denominator that is not positive means that fp32 promises nothing: the bound is then infinite.
#pragma once

#include <vector>

#include "oracle/attend_f64.h"
#include "thriftattn/tensor.h"

namespace thriftattn::testing {

struct Arithmetic {
  int head_dim = 0;
  int split_blocks = 16;
  DType out = DType::kF32;
  bool quantised_weights = false;  // ComputeMode::kW4a4
};

struct RowBound {
  std::vector<double> out;  // [head_dim]
  double lse = 0;
};

RowBound row_bound(const oracle::Row& row, const Arithmetic& arithmetic);

// Largest relative error of rounding to the type.
double unit_roundoff(DType dtype);

}  // namespace thriftattn::testing
