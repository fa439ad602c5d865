// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Products of some rows with one block of one kv head, from either tier: q [rows, head_dim] with K
// as [head_dim, 64], weights [rows, 64] with V as [64, head_dim]. Of a nested high tier this is the
// residual: a second operand, which the low tier's product comes before.
#pragma once

#include <cstdint>

#include "engine/buffer.h"
#include "engine/kernel_table.h"
#include "thriftattn/kv_source.h"

namespace thriftattn::engine {

struct ProductScratch {
  Buffer<float> panel;  // an unpacked block
  Buffer<float> rows;   // foreign rows before transposing
};

// c (+)= a times the block.
struct ProductRows {
  const float* const* a = nullptr;  // [count]
  float* const* c = nullptr;        // [count]
  int count = 0;
  bool accumulate = false;
};

class Products {
 public:
  Products(const KernelTable& kernels, int head_dim, ProductScratch& scratch)
      : kernels_(kernels), head_dim_(head_dim), scratch_(scratch) {}

  void k_low(const LowTile& tile, const ProductRows& rows);
  void k_residual(const ResidualTile& tile, const ProductRows& rows);
  void k_high(const RowsView& k, const ProductRows& rows);

  void v_low(const LowTile& tile, const ProductRows& rows);
  // The low tile's token exponents are the residual's too.
  void v_residual(const ResidualTile& tile, const LowTile& low, const ProductRows& rows);
  // Tokens whose bit in `needed` is clear count as zeros, whatever is stored there.
  void v_high(const RowsView& v, std::uint64_t needed, const ProductRows& rows);

 private:
  void multiply(const Nvfp4Panel& operand, const float* factor, const float* bias,
                const ProductRows& rows);
  void multiply(const float* panel, int contraction, int lanes, const ProductRows& rows);
  void multiply_v(const Nvfp4Panel& operand, const std::uint8_t* exponents, int shift,
                  const ProductRows& rows);
  float* panel() { return scratch_.panel.reserve(std::size_t{kMaxHeadDim} * kBlockTokens); }

  const KernelTable& kernels_;
  const int head_dim_;
  ProductScratch& scratch_;
};

// Start the loads of an operand, which go on while another block is computed.
void prefetch(const Nvfp4Panel& panel);
void prefetch(const RowsView& rows, int head_dim);

}  // namespace thriftattn::engine
