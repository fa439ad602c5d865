// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One block of one kv head as an fp32 panel, from either tier. Of a nested high tier this is the
// residual: a second operand, which the low tier's product comes before.
#pragma once

#include <cstdint>

#include "engine/buffer.h"
#include "engine/kernel_table.h"
#include "thriftattn/kv_source.h"

namespace thriftattn::engine {

// K as [head_dim, 64].
void unpack_k_low(const KernelTable& kernels, const LowTile& tile, float* out);
void unpack_k_residual(const KernelTable& kernels, const ResidualTile& tile, float* out);
void unpack_k_high(const KernelTable& kernels, const RowsView& rows, int head_dim,
                   Buffer<float>& scratch, float* out);

// V as [64, head_dim]; rows of tokens whose bit in `needed` is clear are zeros, whatever is stored
// there.
void unpack_v_low(const KernelTable& kernels, const LowTile& tile, float* out);
// The low tile's token exponents are the residual's too.
void unpack_v_residual(const KernelTable& kernels, const ResidualTile& tile, const LowTile& low,
                       float* out);
void unpack_v_high(const KernelTable& kernels, const RowsView& rows, int head_dim,
                   std::uint64_t needed, float* out);

// Start the loads of an operand, which go on while another block is computed.
void prefetch(const Nvfp4Panel& panel);
void prefetch(const RowsView& rows, int head_dim);

}  // namespace thriftattn::engine
