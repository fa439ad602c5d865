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

// A page holds K and then V, each half [kv_heads, 64, head_dim]. The order in which pages are
// handed out depends only on the calls: the one released last, else the lowest that was never used.
class PagePool {
 public:
  // Nothing where memory is short. The pages themselves take memory as they are written.
  static std::optional<PagePool> create(std::int64_t pages, int kv_heads, int head_dim);

  [[nodiscard]] std::int64_t free_pages() const {
    return pages_ - used_ + static_cast<std::int64_t>(released_.size());
  }
  // Only where free_pages() > 0.
  std::int32_t acquire();
  void release(std::int32_t page);

  // Row of one token: half [head_dim]. Rows of one kv head follow each other.
  [[nodiscard]] half_t* k_row(std::int32_t page, int kv_head, int token) const;
  [[nodiscard]] half_t* v_row(std::int32_t page, int kv_head, int token) const;

 private:
  std::int64_t pages_ = 0;
  std::int64_t used_ = 0;               // pages that were handed out at least once
  std::vector<std::int32_t> released_;  // room for all pages is reserved
  std::int64_t kv_heads_ = 0;
  std::int64_t head_dim_ = 0;
  mutable Arena rows_;
};

}  // namespace thriftattn::kv
