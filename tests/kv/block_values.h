// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// One block's 16-bit rows for tests of the sealer, and what a sealed block decodes to.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "thriftattn/block_store.h"

namespace thriftattn::testing {

inline constexpr int kTestKvHeads = 2;
inline constexpr std::uint64_t kAllTokens = ~std::uint64_t{0};

// Rows of one tensor of a block, further apart than they are long; the gap holds NaN.
class BlockRows {
 public:
  using Value = std::function<float(int kv_head, int token, int dim)>;

  // value is rounded to half.
  BlockRows(int head_dim, const Value& value);
  // Gaussian with standard deviation `scale` around `offset`, a different one for each seed.
  static BlockRows gaussian(int head_dim, unsigned seed, float scale = 1, float offset = 0);

  [[nodiscard]] int head_dim() const { return head_dim_; }
  [[nodiscard]] half_t& at(int kv_head, int token, int dim);
  [[nodiscard]] double value(int kv_head, int token, int dim) const;
  void set(int kv_head, int token, int dim, float value);
  // Makes a token NaN in every head.
  void poison(int token);
  [[nodiscard]] std::vector<RowsView> views() const;  // [kTestKvHeads]

 private:
  [[nodiscard]] std::size_t index(int kv_head, int token, int dim) const;

  int head_dim_;
  std::vector<half_t> memory_;
};

// A store of `blocks` blocks and kTestKvHeads heads.
BlockStore make_store(int head_dim, const Numerics& numerics = {}, std::int64_t blocks = 1,
                      bool channel_bounds = false, HighTier high_tier = HighTier::kRows16);

// Every byte that a sealed block stores of one kv head, in a fixed order; without the residuals of
// a nested store where only the low tier is asked for.
std::vector<std::uint8_t> stored_bytes(const BlockStore& store, std::int64_t block, int kv_head,
                                       bool low_only = false);

// Numerics of all kinds: {rule} x {centred or not} x {token norms or not}.
std::vector<Numerics> all_numerics();

// Euclidean norm of row `token` of a - b, both [64, head_dim].
double distance(const std::vector<double>& a, const std::vector<double>& b, int token,
                int head_dim);
// The rows of one head as [64, head_dim], zeros where the bit of a token is clear.
std::vector<double> to_doubles(const BlockRows& rows, int kv_head,
                               std::uint64_t valid = kAllTokens);

}  // namespace thriftattn::testing
