// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/page_pool.h"

#include <exception>
#include <utility>

namespace thriftattn::kv {

std::optional<PagePool> PagePool::create(std::int64_t pages, int kv_heads, int head_dim) {
  const auto bytes =
      checked_product({pages, 2, kv_heads, kBlockTokens, head_dim, std::int64_t{sizeof(half_t)}});
  if (!bytes) return std::nullopt;
  auto rows = Arena::allocate(*bytes);
  if (!rows) return std::nullopt;

  PagePool pool;
  try {
    pool.released_.reserve(static_cast<std::size_t>(pages));
  } catch (const std::exception&) {
    return std::nullopt;
  }
  pool.pages_ = pages;
  pool.kv_heads_ = kv_heads;
  pool.head_dim_ = head_dim;
  pool.rows_ = std::move(*rows);
  return pool;
}

std::int32_t PagePool::acquire() {
  if (released_.empty()) return static_cast<std::int32_t>(used_++);
  const std::int32_t page = released_.back();
  released_.pop_back();
  return page;
}

void PagePool::release(std::int32_t page) { released_.push_back(page); }

half_t* PagePool::k_row(std::int32_t page, int kv_head, int token) const {
  const std::int64_t row = (2 * page * kv_heads_ + kv_head) * kBlockTokens + token;
  return reinterpret_cast<half_t*>(rows_.at(0)) + row * head_dim_;
}

half_t* PagePool::v_row(std::int32_t page, int kv_head, int token) const {
  return k_row(page, kv_head, token) + kv_heads_ * kBlockTokens * head_dim_;
}

}  // namespace thriftattn::kv
