// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A paged KV cache of one layer in two tiers: FP4 tiles of every full block, and a high tier that
// is either 16-bit rows of every block, or nested: FP4 of what the tiles leave, and 16-bit rows of
// open blocks only. A page holds one block (64 tokens) of every kv head.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "thriftattn/block_store.h"
#include "thriftattn/kv_source.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn {

using SequenceId = std::int32_t;

struct PagedKvCacheConfig {
  int kv_heads = 0;
  int head_dim = 0;        // a multiple of 16 from 32 to 256
  std::int64_t pages = 0;  // capacity of the pool
  Numerics numerics = {};
  bool channel_bounds = false;  // needed by policy quest
  HighTier high_tier = HighTier::kRows16;
};

class PagedKvCache {
 public:
  static Result<PagedKvCache> create(const PagedKvCacheConfig& config);
  PagedKvCache(PagedKvCache&&) noexcept;
  PagedKvCache& operator=(PagedKvCache&&) noexcept;
  ~PagedKvCache();

  [[nodiscard]] const PagedKvCacheConfig& config() const;

  // A new, empty sequence. Ids of freed sequences are used again.
  Result<SequenceId> add_sequence();
  // Gives the sequence's pages back.
  Status free_sequence(SequenceId sequence);

  // Appends ragged tokens: rows offsets[i] .. offsets[i + 1] of k and v go to sequences[i].
  // k, v: [tokens, kv_heads, head_dim], F32, F16 or BF16, stored as F16. offsets: [sequences + 1].
  // A block is sealed by the call that fills it. All or nothing: on any error (unknown sequence,
  // wrong shape, non-finite value, value beyond F16's range, no free page) the cache is as it was
  // before.
  Status append(std::span<const SequenceId> sequences, std::span<const std::int64_t> offsets,
                const ConstTensorView& k, const ConstTensorView& v);
  // The same for one sequence.
  Status append(SequenceId sequence, const ConstTensorView& k, const ConstTensorView& v);

  [[nodiscard]] Result<std::int64_t> length(SequenceId sequence) const;  // tokens
  [[nodiscard]] std::int64_t free_pages() const;
  // Bytes allocated for tiles, residuals, summaries and rows. With 16-bit rows this is fixed;
  // nested it grows by the rows of one page whenever more blocks are open at once than ever before.
  [[nodiscard]] std::int64_t memory_bytes() const;
  // Physical page of each logical block of a sequence; empty for an unknown one.
  [[nodiscard]] std::span<const std::int32_t> block_table(SequenceId sequence) const;
  [[nodiscard]] const BlockStore& store() const;  // low tier, addressed by physical page
  // 16-bit rows of a page: [64, head_dim] of one kv head. data is nullptr where a nested cache
  // keeps none, which is everywhere but in open blocks.
  [[nodiscard]] RowsView k_rows(std::int32_t page, int kv_head) const;
  [[nodiscard]] RowsView v_rows(std::int32_t page, int kv_head) const;

  // The source that attend reads: query rows are the last q_lens[i] tokens of sequences[i], causal.
  // The cache must outlive it and must not change while it is used.
  [[nodiscard]] Result<std::unique_ptr<KvSource>> source(
      std::span<const SequenceId> sequences, std::span<const std::int64_t> q_lens) const;

 private:
  struct Impl;
  explicit PagedKvCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace thriftattn
