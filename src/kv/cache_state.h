// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a PagedKvCache is made of; shared by the files that implement it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/page_pool.h"
#include "thriftattn/block_store.h"
#include "thriftattn/kv_cache.h"

namespace thriftattn::kv {

struct Sequence {
  bool live = false;
  std::int64_t length = 0;          // tokens
  std::uint64_t last_append = 0;    // number of the append call that named it last
  std::vector<std::int32_t> table;  // physical page of each logical block
};

struct CacheState {
  PagedKvCacheConfig config;
  BlockStore store;
  PagePool pool;
  std::vector<Sequence> sequences;  // by id
  std::vector<SequenceId> freed;    // ids to use again; room for every id is reserved
  std::uint64_t append_calls = 0;
  std::vector<RowsView> seal_views;  // [2 * kv_heads], scratch of append

  // nullptr where the id is unknown.
  [[nodiscard]] const Sequence* find(SequenceId id) const;
  [[nodiscard]] Sequence* find(SequenceId id);

  [[nodiscard]] RowsView k_rows(std::int32_t page, int kv_head) const;
  [[nodiscard]] RowsView v_rows(std::int32_t page, int kv_head) const;
};

Status unknown_sequence(SequenceId id);

struct AppendArgs {
  std::span<const SequenceId> sequences;
  std::span<const std::int64_t> offsets;
  const ConstTensorView& k;
  const ConstTensorView& v;
};

// PagedKvCache::append. Changes nothing that can be seen unless it succeeds.
Status append_tokens(CacheState& cache, const AppendArgs& args);

}  // namespace thriftattn::kv
