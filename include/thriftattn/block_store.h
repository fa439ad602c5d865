// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Addressable blocks of one layer's FP4 tiles. Owners of foreign memory (a ggml buffer, an engine's
// pages) keep their 16-bit rows and use a BlockStore as the FP4 side of them; with a nested high
// tier the rows of a sealed block are not needed any more. PagedKvCache is built on it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "thriftattn/formats.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn {

struct BlockStoreConfig {
  int kv_heads = 0;
  int head_dim = 0;         // a multiple of 16 from 32 to 256
  std::int64_t blocks = 0;  // capacity
  Numerics numerics = {};
  bool channel_bounds = false;  // keep min and max of K per channel (policy quest)
  HighTier high_tier = HighTier::kRows16;
};

class BlockStore {
 public:
  enum class State : std::uint8_t {
    kOpen,    // no low tier
    kSealed,  // low tier valid
    kPinned,  // holds a non-finite value (or one beyond 2^120): stays 16 bit until invalidated
  };

  static Result<BlockStore> create(const BlockStoreConfig& config);
  BlockStore(BlockStore&&) noexcept;
  BlockStore& operator=(BlockStore&&) noexcept;
  ~BlockStore();

  [[nodiscard]] const BlockStoreConfig& config() const;

  // Quantises one block of every kv head. k and v: [kv_heads] views of 64 rows. Tokens whose bit in
  // `valid` is clear are never read: zero codes, in no summary. A block with a non-finite valid
  // value is pinned, which is success. Different blocks may be sealed from different threads at
  // once.
  Status seal(std::int64_t block, std::span<const RowsView> k, std::span<const RowsView> v,
              std::uint64_t valid = ~std::uint64_t{0});
  // Forgets the low tier: the rows behind it changed.
  void invalidate(std::int64_t block);

  [[nodiscard]] State state(std::int64_t block) const;
  // Grows by one with every seal of the block.
  [[nodiscard]] std::uint32_t generation(std::int64_t block) const;

  // Only where state(block) is kSealed.
  [[nodiscard]] LowTile tile(std::int64_t block, int kv_head) const;
  [[nodiscard]] BlockSummary summary(std::int64_t block, int kv_head) const;
  // Only where, besides, config().high_tier is kNested.
  [[nodiscard]] ResidualTile residual(std::int64_t block, int kv_head) const;

  // Bytes of the low tier of one block of one kv head: all of it, and what the score and value
  // passes read.
  [[nodiscard]] std::int64_t tile_bytes() const;
  [[nodiscard]] std::int64_t k_bytes() const;
  [[nodiscard]] std::int64_t v_bytes() const;
  // Bytes of the residual of one block's K, and of its V, of one kv head; 0 where not nested.
  [[nodiscard]] std::int64_t residual_bytes() const;
  // Bytes allocated for all blocks.
  [[nodiscard]] std::int64_t memory_bytes() const;

 private:
  struct Impl;
  explicit BlockStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace thriftattn
