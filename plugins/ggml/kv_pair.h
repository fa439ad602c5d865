// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The FP4 side of one layer's K and V caches: which blocks are sealed, and whether they still say
// what the 16-bit rows say.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache_rows.h"
#include "kv_root.h"
#include "lagged_sets.h"
#include "mask_bits.h"
#include "options.h"
#include "stats.h"
#include "thriftattn/block_store.h"

namespace thriftattn::plugin {

class KvPair {
 public:
  KvPair(KvRoot& k, KvRoot& v) : k_(k), v_(v), states_(k.blocks()) {}
  ~KvPair();
  KvPair(const KvPair&) = delete;
  KvPair& operator=(const KvPair&) = delete;

  [[nodiscard]] std::int64_t cells() const { return k_.cells(); }  // of a stream
  [[nodiscard]] bool trusted() const { return k_.trusted() && v_.trusted(); }
  // Block of the caches that holds block 0 of a stream, or -1 where the rows are no view of whole
  // cache rows.
  [[nodiscard]] std::int64_t first_block(const CacheRows& rows, std::int64_t stream,
                                         std::int64_t blocks) const;

  // Makes the low tier at the first call; `options` fixes its numerics and high tier.
  Status prepare(const CacheRows& rows, const Options& options);
  // Seals what changed since the last call and is complete: blocks that are not fresh and that some
  // row sees whole. With seal_own every visible block, its cells that no row sees counting as
  // absent.
  Status refresh(const CacheRows& rows, std::int64_t stream, std::span<const BlockNeed> needs,
                 const Options& options, Executor& executor, Stats& stats);
  // Seals every sealed block of the call again, elsewhere, and compares all bytes.
  Status verify(const CacheRows& rows, std::int64_t stream, std::int64_t blocks,
                Stats& stats) const;
  // To call after each attention: what was fresh is not any more at the next append.
  void attended();

  [[nodiscard]] bool sealed(std::int64_t block, const Options& options) const;
  [[nodiscard]] bool pinned(std::int64_t block) const;
  // Whether V may hold NaN or inf in the cells in `cells`; remembered until the block is written.
  [[nodiscard]] bool finite(const CacheRows& rows, std::int64_t stream, std::int64_t block,
                            std::int64_t cache_block, std::uint64_t cells);
  [[nodiscard]] const BlockStore& store() const { return *store_; }
  [[nodiscard]] LaggedSets& lagged_sets() { return lagged_sets_; }

 private:
  struct BlockState {
    std::uint32_t k_version = 0;  // of the rows that were sealed; 0 = never
    std::uint32_t v_version = 0;
    std::uint64_t valid = 0;  // cells that were sealed
    std::uint32_t finite_version = 0;
    std::uint64_t finite_cells = 0;
  };
  void count_memory(std::int64_t low_bytes, std::int64_t high_bytes);
  [[nodiscard]] bool current(std::int64_t block) const;
  [[nodiscard]] std::uint64_t to_seal(std::int64_t block, const BlockNeed& need,
                                      const Options& options) const;
  Status seal(BlockStore& store, std::int64_t store_block, const CacheRows& rows,
              std::int64_t stream, std::int64_t block, std::uint64_t valid) const;

  KvRoot& k_;
  KvRoot& v_;
  std::vector<BlockState> states_;  // [blocks of the cache]
  std::optional<BlockStore> store_;
  LaggedSets lagged_sets_;
  std::int64_t low_bytes_ = 0;  // what this pair adds to the process's totals
  std::int64_t high_bytes_ = 0;
};

}  // namespace thriftattn::plugin
