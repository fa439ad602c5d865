// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How far the device's attention may be from the exact answer over the same stored operands. The
// argument is that of support/bounds.h with other numbers; sizes in brackets are log2.
//
//   score    products of halves are exact and added in fp32 by tensor cores, which may truncate:
//            2^-22 for each step of 16, of codes, mean and residual apart (score_abs has all,
//            k_dots says how many). Then arguments of exp2 of up to X = |s| + |reference| + |mean|
//            are rounded five times:
//            |s'_j - s_j| <= 2^-22 (steps + 4) score_abs + 2^-21 X
//   weight   ex2.approx is within 2^-22 and the weight is rounded to half:
//            |d_j| <= D_j = expm1(score) + 2^-11 + 2^-20
//            Below 2^-14 a half is a multiple of 2^-24: with reference <= max + g + 1, g the
//            largest V exponent or 0, a weight relative to 2^max is off by [g - 20] in the high
//            tier and [g - 34] / 2^e_t in the low tier, where it carries 2^(11 + e_t). Nested, it
//            carries that too, and 2^(9 + e_t) where it meets the residual, which is off by another
//            [g - 33] / 2^e_t, of |v_residual| alone.
//   sums     a tensor-core step for 16 keys (of both dots where nested), then warps and CTAs, whose
//            factors are exp2 of whole numbers: [-22] (keys / 16 + 256) for numerator and
//            denominator.
#pragma once

#include "support/bounds.h"

namespace thriftattn::testing {

RowBound device_row_bound(const oracle::Row& row, const Arithmetic& arithmetic);

}  // namespace thriftattn::testing
