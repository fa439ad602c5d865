// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The stored formats decoded to double, written from their definitions and independent of
// src/numeric: an oracle that shared the library's decoders would share their mistakes.
#pragma once

#include <cstdint>
#include <vector>

#include "thriftattn/formats.h"
#include "thriftattn/tensor.h"

namespace thriftattn::oracle {

double decode_e2m1(unsigned code);      // 4 bits
double decode_e4m3(std::uint8_t bits);  // NaN for 0x7f and 0xff
double decode_e8m0(std::uint8_t bits);  // NaN for 0xff
double decode_half(std::uint16_t bits);
double decode_bfloat16(std::uint16_t bits);

// Round to nearest even; values beyond the format become infinite.
std::uint16_t encode_half(double x);
std::uint16_t encode_bfloat16(double x);

// Element (i, lane) of a panel without exponents: code * scale.
double panel_element(const Nvfp4Panel& panel, int i, int lane);

// What the low tier stands for, [64, head_dim], token by token.
std::vector<double> decode_low_k(const LowTile& tile);
std::vector<double> decode_low_v(const LowTile& tile);
// What the nested high tier adds to them, [64, head_dim].
std::vector<double> decode_residual_k(const ResidualTile& tile);
std::vector<double> decode_residual_v(const ResidualTile& tile, const LowTile& low);
// 16-bit rows, [64, head_dim]. Foreign rows go through their own decoder.
std::vector<double> decode_rows(const RowsView& rows, int head_dim);

}  // namespace thriftattn::oracle
