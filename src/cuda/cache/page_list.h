// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which pages are free. Pages are handed out in the order of kv::PagePool: the one released last,
// else the lowest that was never used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace thriftattn::cuda {

class PageList {
 public:
  // Throws where the host has no memory; the other members never do.
  void resize(std::int64_t pages) {
    released_.reserve(static_cast<std::size_t>(pages));
    pages_ = pages;
  }

  [[nodiscard]] std::int64_t free_pages() const {
    return pages_ - used_ + static_cast<std::int64_t>(released_.size());
  }
  // Only where free_pages() > 0.
  std::int32_t acquire() {
    if (released_.empty()) return static_cast<std::int32_t>(used_++);
    const std::int32_t page = released_.back();
    released_.pop_back();
    return page;
  }
  void release(std::int32_t page) { released_.push_back(page); }

 private:
  std::int64_t pages_ = 0;
  std::int64_t used_ = 0;               // pages that were handed out at least once
  std::vector<std::int32_t> released_;  // room for all pages is reserved
};

}  // namespace thriftattn::cuda
