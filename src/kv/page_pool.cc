// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/page_pool.h"

#include <exception>
#include <utility>

namespace thriftattn::kv {

std::optional<PagePool> PagePool::create(std::int64_t pages, int kv_heads, int head_dim,
                                         HighTier high_tier) {
  const auto bytes =
      checked_product({pages, 2, kv_heads, kBlockTokens, head_dim, std::int64_t{sizeof(half_t)}});
  if (!bytes) return std::nullopt;
  PagePool pool;
  pool.nested_ = high_tier == HighTier::kNested;
  auto rows = Arena::allocate(pool.nested_ ? 0 : *bytes);
  if (!rows) return std::nullopt;
  if (pool.nested_) pool.rows_of_page_ = allocate_zeroed<half_t*>(pages);
  if (pool.nested_ && !pool.rows_of_page_) return std::nullopt;
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

bool PagePool::reserve_rows(std::int64_t count) {
  if (!nested_) return true;
  try {
    while (static_cast<std::int64_t>(spare_.size()) < count) {
      if (slots_.size() >= spare_.capacity()) spare_.reserve(2 * slots_.size() + 1);
      if (slots_.size() == slots_.capacity()) slots_.reserve(2 * slots_.size() + 1);
      auto slot = Arena::allocate(page_values() * std::int64_t{sizeof(half_t)});
      if (!slot) return false;
      spare_.push_back(reinterpret_cast<half_t*>(slot->at(0)));
      slots_.push_back(std::move(*slot));
    }
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

std::int32_t PagePool::acquire() {
  std::int32_t page = 0;
  if (released_.empty()) {
    page = static_cast<std::int32_t>(used_++);
  } else {
    page = released_.back();
    released_.pop_back();
  }
  if (nested_) {
    rows_of_page_[page] = spare_.back();
    spare_.pop_back();
  }
  return page;
}

void PagePool::release(std::int32_t page) {
  drop_rows(page);
  released_.push_back(page);
}

void PagePool::drop_rows(std::int32_t page) {
  if (!nested_ || rows_of_page_[page] == nullptr) return;
  spare_.push_back(rows_of_page_[page]);
  rows_of_page_[page] = nullptr;
}

std::int64_t PagePool::row_bytes() const {
  std::int64_t bytes = rows_.bytes();
  for (const Arena& slot : slots_) bytes += slot.bytes();
  return bytes;
}

half_t* PagePool::page_rows(std::int32_t page) const {
  if (nested_) return rows_of_page_[page];
  return reinterpret_cast<half_t*>(rows_.at(0)) + page * page_values();
}

half_t* PagePool::k_row(std::int32_t page, int kv_head, int token) const {
  half_t* rows = page_rows(page);
  return rows != nullptr ? rows + (kv_head * kBlockTokens + token) * head_dim_ : nullptr;
}

half_t* PagePool::v_row(std::int32_t page, int kv_head, int token) const {
  half_t* rows = page_rows(page);
  if (rows == nullptr) return nullptr;
  return rows + ((kv_heads_ + kv_head) * kBlockTokens + token) * head_dim_;
}

}  // namespace thriftattn::kv
