// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/product.h"

#include <algorithm>
#include <cmath>

#include "numeric/e8m0.h"

namespace thriftattn::engine {
namespace {

constexpr float kNoBias[kMaxHeadDim] = {};

const void* row_of(const RowsView& rows, int token) {
  return static_cast<const char*>(rows.data) + token * rows.stride_bytes;
}

void prefetch_bytes(const void* data, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64;
  for (std::int64_t i = 0; i < bytes; i += kLine) {
    __builtin_prefetch(static_cast<const char*>(data) + i);
  }
}

}  // namespace

void Products::multiply(const Nvfp4Panel& operand, const float* factor, const float* bias,
                        const ProductRows& rows) {
  if (rows.count <= kernels_.decoding_rows) {
    kernels_.gemm_nvfp4({.a = rows.a,
                         .rows = rows.count,
                         .panel = operand,
                         .factor = factor,
                         .bias = bias,
                         .c = rows.c,
                         .accumulate = rows.accumulate});
    return;
  }
  kernels_.unpack_nvfp4(operand, factor, bias, panel());
  multiply(panel(), operand.contraction, operand.lanes, rows);
}

void Products::multiply(const float* panel, int contraction, int lanes, const ProductRows& rows) {
  kernels_.gemm({.a = rows.a,
                 .rows = rows.count,
                 .panel = panel,
                 .contraction = contraction,
                 .lanes = lanes,
                 .c = rows.c,
                 .accumulate = rows.accumulate});
}

void Products::k_low(const LowTile& tile, const ProductRows& rows) {
  float factor[kMaxHeadDim];
  float mean[kMaxHeadDim];
  std::fill_n(factor, tile.k.contraction, std::ldexp(1.0f, tile.k_exponent));
  kernels_.unpack_half(tile.k_mean, 0, 1, tile.k.contraction, mean);
  multiply(tile.k, factor, mean, rows);
}

void Products::k_residual(const ResidualTile& tile, const ProductRows& rows) {
  float factor[kMaxHeadDim];
  std::fill_n(factor, tile.k.contraction, std::ldexp(1.0f, tile.k_exponent));
  multiply(tile.k, factor, kNoBias, rows);
}

void Products::k_high(const RowsView& k, const ProductRows& rows) {
  float* out = panel();
  if (!k.decode) {
    kernels_.unpack_half_transposed(static_cast<const half_t*>(k.data),
                                    k.stride_bytes / static_cast<std::int64_t>(sizeof(half_t)),
                                    head_dim_, out);
  } else {
    float* row = scratch_.rows.reserve(kMaxHeadDim);
    for (int t = 0; t < kBlockTokens; ++t) {
      k.decode(row_of(k, t), row, head_dim_);
      for (int d = 0; d < head_dim_; ++d) out[d * kBlockTokens + t] = row[d];
    }
  }
  multiply(out, head_dim_, kBlockTokens, rows);
}

// Values of token t are code * scale * 2^(exponents[t] - 127 - shift).
void Products::multiply_v(const Nvfp4Panel& operand, const std::uint8_t* exponents, int shift,
                          const ProductRows& rows) {
  float factor[kBlockTokens];
  const float down = numeric::power_of_two(-shift);
  for (int t = 0; t < kBlockTokens; ++t) factor[t] = numeric::e8m0_to_float(exponents[t]) * down;
  multiply(operand, factor, kNoBias, rows);
}

void Products::v_low(const LowTile& tile, const ProductRows& rows) {
  multiply_v(tile.v, tile.v_exponents, 0, rows);
}

void Products::v_residual(const ResidualTile& tile, const LowTile& low, const ProductRows& rows) {
  multiply_v(tile.v, low.v_exponents, kResidualShift, rows);
}

void Products::v_high(const RowsView& v, std::uint64_t needed, const ProductRows& rows) {
  float* out = panel();
  if (!v.decode) {
    kernels_.unpack_half(static_cast<const half_t*>(v.data),
                         v.stride_bytes / static_cast<std::int64_t>(sizeof(half_t)), kBlockTokens,
                         head_dim_, out);
  } else {
    for (int t = 0; t < kBlockTokens; ++t) v.decode(row_of(v, t), out + t * head_dim_, head_dim_);
  }
  for (int t = 0; t < kBlockTokens; ++t) {
    if (!(needed >> t & 1)) std::fill_n(out + t * head_dim_, head_dim_, 0.0f);
  }
  multiply(out, kBlockTokens, head_dim_, rows);
}

void prefetch(const Nvfp4Panel& panel) {
  const std::int64_t values = std::int64_t{panel.contraction} * panel.lanes;
  prefetch_bytes(panel.codes, values / 2);
  prefetch_bytes(panel.scales, values / kScaleGroup);
}

void prefetch(const RowsView& rows, int head_dim) {
  for (int t = 0; t < kBlockTokens; ++t) {
    prefetch_bytes(row_of(rows, t), head_dim * std::int64_t{sizeof(half_t)});
  }
}

}  // namespace thriftattn::engine
