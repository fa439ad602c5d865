// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What attend reads: blocks, who sees them, and where their tiers are. PagedKvCache is one source;
// owners of foreign memory write their own.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"
#include "thriftattn/tensor.h"

namespace thriftattn {

struct BlockView {
  bool sealed =
      false;  // `low` and `summary` are valid; else the block is computed in the high tier
  bool non_finite =
      false;  // some row may hold NaN or inf: masked tokens must be skipped, not multiplied
  LowTile low;
  BlockSummary summary;
  RowsView k;  // [64, head_dim]; not read where the block is sealed and nested
  RowsView v;  // [64, head_dim]
  // What the block is promoted to where it is sealed.
  HighTier high_tier = HighTier::kRows16;
  ResidualTile residual;  // only where sealed and nested

  [[nodiscard]] bool nested() const { return sealed && high_tier == HighTier::kNested; }
};

class KvSource {
 public:
  virtual ~KvSource() = default;
  [[nodiscard]] virtual int kv_heads() const = 0;
  [[nodiscard]] virtual int head_dim() const = 0;
  // Number of logical blocks of a sequence; blocks of a sequence are numbered 0 .. blocks - 1.
  [[nodiscard]] virtual std::int64_t blocks(int sequence) const = 0;
  // Bit t is set where query token `token` (0 .. q_len - 1 of this call) sees token t of the block.
  [[nodiscard]] virtual std::uint64_t visible(int sequence, std::int64_t token,
                                              std::int64_t block) const = 0;
  // The block that holds the query token's own position, or -1 where the source does not know.
  [[nodiscard]] virtual std::int64_t own_block(int sequence, std::int64_t token) const = 0;
  [[nodiscard]] virtual BlockView block(int sequence, std::int64_t block, int kv_head) const = 0;
  // Bytes one pass reads of one sealed block of one kv head, for reports: {K, V} of the low tier.
  [[nodiscard]] virtual std::int64_t low_k_bytes() const = 0;
  [[nodiscard]] virtual std::int64_t low_v_bytes() const = 0;
};

}  // namespace thriftattn
