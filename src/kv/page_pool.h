// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The 16-bit rows of the cache, handed out in pages of one block of every kv head.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kv/arena.h"
#include "thriftattn/formats.h"

namespace thriftattn::kv {

// The rows of a page are K and then V, each half [kv_heads, 64, head_dim]. The order in which pages
// are handed out depends only on the calls: the one released last, else the lowest that was never
// used.
//
// kRows16: every page has rows, which take memory as they are written. kNested: a page has rows
// from acquire to drop_rows, and memory grows to the most that were in use at once.
class PagePool {
 public:
  // Nothing where memory is short.
  static std::optional<PagePool> create(std::int64_t pages, int kv_heads, int head_dim,
                                        HighTier high_tier = HighTier::kRows16);

  [[nodiscard]] std::int64_t free_pages() const {
    return pages_ - used_ + static_cast<std::int64_t>(released_.size());
  }
  // Makes sure that `count` more pages can have rows. False where memory is short.
  bool reserve_rows(std::int64_t count);
  // Only where free_pages() > 0 and rows are reserved.
  std::int32_t acquire();
  void release(std::int32_t page);
  // kNested: the page lives on without rows.
  void drop_rows(std::int32_t page);
  [[nodiscard]] std::int64_t row_bytes() const;  // allocated for rows

  // Row of one token: half [head_dim], nullptr where the page has no rows. Rows of one kv head
  // follow each other.
  [[nodiscard]] half_t* k_row(std::int32_t page, int kv_head, int token) const;
  [[nodiscard]] half_t* v_row(std::int32_t page, int kv_head, int token) const;

 private:
  [[nodiscard]] std::int64_t page_values() const {
    return 2 * kv_heads_ * kBlockTokens * head_dim_;
  }
  [[nodiscard]] half_t* page_rows(std::int32_t page) const;

  std::int64_t pages_ = 0;
  std::int64_t used_ = 0;               // pages that were handed out at least once
  std::vector<std::int32_t> released_;  // room for all pages is reserved
  std::int64_t kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  mutable Arena rows_;  // kRows16: of every page
  bool nested_ = false;
  std::vector<Arena> slots_;           // kNested: rows of one page each
  std::vector<half_t*> spare_;         // slots that no page has; room for all is reserved
  ZeroedArray<half_t*> rows_of_page_;  // [pages], kNested: the page's slot or nullptr
};

}  // namespace thriftattn::kv
