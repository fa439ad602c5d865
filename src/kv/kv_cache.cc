// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "thriftattn/kv_cache.h"

#include <exception>
#include <limits>
#include <string>
#include <utility>

#include "kv/cache_state.h"
#include "kv/paged_source.h"
#include "kv/shape.h"

namespace thriftattn {
namespace kv {

const Sequence* CacheState::find(SequenceId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= sequences.size()) return nullptr;
  const Sequence& sequence = sequences[static_cast<std::size_t>(id)];
  return sequence.live ? &sequence : nullptr;
}

Sequence* CacheState::find(SequenceId id) {
  return const_cast<Sequence*>(std::as_const(*this).find(id));
}

RowsView CacheState::k_rows(std::int32_t page, int kv_head) const {
  return {pool.k_row(page, kv_head, 0), config.head_dim * std::int64_t{sizeof(half_t)}, nullptr};
}

RowsView CacheState::v_rows(std::int32_t page, int kv_head) const {
  return {pool.v_row(page, kv_head, 0), config.head_dim * std::int64_t{sizeof(half_t)}, nullptr};
}

Status unknown_sequence(SequenceId id) {
  return {StatusCode::kNotFound, "sequence " + std::to_string(id) + ": unknown or freed"};
}

}  // namespace kv

struct PagedKvCache::Impl {
  kv::CacheState state;
};

Result<PagedKvCache> PagedKvCache::create(const PagedKvCacheConfig& config) {
  Status shape = kv::check_shape(config.kv_heads, config.head_dim, config.pages,
                                 std::numeric_limits<std::int32_t>::max(), "pages");
  if (!shape.ok()) return shape;
  auto store = BlockStore::create({.kv_heads = config.kv_heads,
                                   .head_dim = config.head_dim,
                                   .blocks = config.pages,
                                   .numerics = config.numerics,
                                   .channel_bounds = config.channel_bounds,
                                   .high_tier = config.high_tier});
  if (!store.ok()) return store.status();
  auto pool =
      kv::PagePool::create(config.pages, config.kv_heads, config.head_dim, config.high_tier);
  if (!pool) {
    return Status{StatusCode::kOutOfMemory, "no memory for " + std::to_string(config.pages) +
                                                " pages of " + std::to_string(config.kv_heads) +
                                                " kv heads, head_dim " +
                                                std::to_string(config.head_dim)};
  }
  try {
    auto impl = std::make_unique<Impl>(Impl{.state = {.config = config,
                                                      .store = std::move(store.value()),
                                                      .pool = std::move(*pool),
                                                      .sequences = {},
                                                      .freed = {},
                                                      .append_calls = 0,
                                                      .seal_views = {}}});
    impl->state.seal_views.resize(2 * static_cast<std::size_t>(config.kv_heads));
    return PagedKvCache(std::move(impl));
  } catch (const std::exception&) {
    return Status{StatusCode::kOutOfMemory, "no host memory for the cache"};
  }
}

PagedKvCache::PagedKvCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PagedKvCache::PagedKvCache(PagedKvCache&&) noexcept = default;
PagedKvCache& PagedKvCache::operator=(PagedKvCache&&) noexcept = default;
PagedKvCache::~PagedKvCache() = default;

const PagedKvCacheConfig& PagedKvCache::config() const { return impl_->state.config; }

Result<SequenceId> PagedKvCache::add_sequence() {
  kv::CacheState& state = impl_->state;
  if (!state.freed.empty()) {
    const SequenceId id = state.freed.back();
    state.freed.pop_back();
    state.sequences[static_cast<std::size_t>(id)].live = true;
    return id;
  }
  if (state.sequences.size() >= std::numeric_limits<SequenceId>::max()) {
    return Status{StatusCode::kOutOfMemory, "no sequence id is free"};
  }
  try {
    // freed has room for every id, so that free_sequence cannot fail.
    const std::size_t count = state.sequences.size() + 1;
    if (count > state.freed.capacity()) state.freed.reserve(2 * count);
    state.sequences.emplace_back().live = true;
  } catch (const std::exception&) {
    return Status{StatusCode::kOutOfMemory, "no host memory for another sequence"};
  }
  return static_cast<SequenceId>(state.sequences.size() - 1);
}

Status PagedKvCache::free_sequence(SequenceId sequence) {
  kv::CacheState& state = impl_->state;
  kv::Sequence* freed = state.find(sequence);
  if (freed == nullptr) return kv::unknown_sequence(sequence);
  // Last page first: the next sequence then gets them in the order in which this one did.
  for (auto page = freed->table.rbegin(); page != freed->table.rend(); ++page) {
    state.store.invalidate(*page);
    state.pool.release(*page);
  }
  *freed = {};
  state.freed.push_back(sequence);
  return {};
}

Status PagedKvCache::append(std::span<const SequenceId> sequences,
                            std::span<const std::int64_t> offsets, const ConstTensorView& k,
                            const ConstTensorView& v) {
  return kv::append_tokens(impl_->state, {sequences, offsets, k, v});
}

Status PagedKvCache::append(SequenceId sequence, const ConstTensorView& k,
                            const ConstTensorView& v) {
  const std::int64_t offsets[] = {0, k.tokens};
  return append(std::span(&sequence, 1), offsets, k, v);
}

Result<std::int64_t> PagedKvCache::length(SequenceId sequence) const {
  const kv::Sequence* found = impl_->state.find(sequence);
  if (found == nullptr) return kv::unknown_sequence(sequence);
  return found->length;
}

std::int64_t PagedKvCache::free_pages() const { return impl_->state.pool.free_pages(); }

std::span<const std::int32_t> PagedKvCache::block_table(SequenceId sequence) const {
  const kv::Sequence* found = impl_->state.find(sequence);
  if (found == nullptr) return {};
  return found->table;
}

std::int64_t PagedKvCache::memory_bytes() const {
  return impl_->state.store.memory_bytes() + impl_->state.pool.row_bytes();
}

const BlockStore& PagedKvCache::store() const { return impl_->state.store; }

RowsView PagedKvCache::k_rows(std::int32_t page, int kv_head) const {
  return impl_->state.k_rows(page, kv_head);
}

RowsView PagedKvCache::v_rows(std::int32_t page, int kv_head) const {
  return impl_->state.v_rows(page, kv_head);
}

Result<std::unique_ptr<KvSource>> PagedKvCache::source(std::span<const SequenceId> sequences,
                                                       std::span<const std::int64_t> q_lens) const {
  return kv::make_paged_source(impl_->state, sequences, q_lens);
}

}  // namespace thriftattn
