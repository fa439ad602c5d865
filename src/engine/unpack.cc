// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/unpack.h"

#include <algorithm>
#include <cmath>

#include "numeric/e8m0.h"

namespace thriftattn::engine {
namespace {

const void* row_of(const RowsView& rows, int token) {
  return static_cast<const char*>(rows.data) + token * rows.stride_bytes;
}

void prefetch_bytes(const void* data, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64;
  for (std::int64_t i = 0; i < bytes; i += kLine) {
    __builtin_prefetch(static_cast<const char*>(data) + i);
  }
}

// Values of token t are code * scale * 2^(exponents[t] - 127 - shift).
void unpack_v(const KernelTable& kernels, const Nvfp4Panel& panel, const std::uint8_t* exponents,
              int shift, float* out) {
  float factor[kBlockTokens];
  const float zero[kBlockTokens] = {};
  const float down = numeric::power_of_two(-shift);
  for (int t = 0; t < kBlockTokens; ++t) factor[t] = numeric::e8m0_to_float(exponents[t]) * down;
  kernels.unpack_nvfp4(panel, factor, zero, out);
}

}  // namespace

void unpack_k_low(const KernelTable& kernels, const LowTile& tile, float* out) {
  float factor[kMaxHeadDim];
  float mean[kMaxHeadDim];
  std::fill_n(factor, tile.k.contraction, std::ldexp(1.0f, tile.k_exponent));
  kernels.unpack_half(tile.k_mean, 0, 1, tile.k.contraction, mean);
  kernels.unpack_nvfp4(tile.k, factor, mean, out);
}

void unpack_k_residual(const KernelTable& kernels, const ResidualTile& tile, float* out) {
  float factor[kMaxHeadDim];
  const float zero[kMaxHeadDim] = {};
  std::fill_n(factor, tile.k.contraction, std::ldexp(1.0f, tile.k_exponent));
  kernels.unpack_nvfp4(tile.k, factor, zero, out);
}

void unpack_v_low(const KernelTable& kernels, const LowTile& tile, float* out) {
  unpack_v(kernels, tile.v, tile.v_exponents, 0, out);
}

void unpack_v_residual(const KernelTable& kernels, const ResidualTile& tile, const LowTile& low,
                       float* out) {
  unpack_v(kernels, tile.v, low.v_exponents, kResidualShift, out);
}

void unpack_k_high(const KernelTable& kernels, const RowsView& rows, int head_dim,
                   Buffer<float>& scratch, float* out) {
  if (!rows.decode) {
    kernels.unpack_half_transposed(static_cast<const half_t*>(rows.data),
                                   rows.stride_bytes / static_cast<std::int64_t>(sizeof(half_t)),
                                   head_dim, out);
    return;
  }
  float* row = scratch.reserve(kMaxHeadDim);
  for (int t = 0; t < kBlockTokens; ++t) {
    rows.decode(row_of(rows, t), row, head_dim);
    for (int d = 0; d < head_dim; ++d) out[d * kBlockTokens + t] = row[d];
  }
}

void unpack_v_high(const KernelTable& kernels, const RowsView& rows, int head_dim,
                   std::uint64_t needed, float* out) {
  if (!rows.decode) {
    kernels.unpack_half(static_cast<const half_t*>(rows.data),
                        rows.stride_bytes / static_cast<std::int64_t>(sizeof(half_t)), kBlockTokens,
                        head_dim, out);
  } else {
    for (int t = 0; t < kBlockTokens; ++t)
      rows.decode(row_of(rows, t), out + t * head_dim, head_dim);
  }
  for (int t = 0; t < kBlockTokens; ++t) {
    if (!(needed >> t & 1)) std::fill_n(out + t * head_dim, head_dim, 0.0f);
  }
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
