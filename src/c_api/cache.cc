// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>

#include "c_api/convert.h"
#include "c_api/guard.h"
#include "c_api/handles.h"
#include "thriftattn/kv_cache.h"

namespace {

using thriftattn::HighTier;
using thriftattn::invalid_argument;
using thriftattn::PagedKvCache;
using thriftattn::PagedKvCacheConfig;
using thriftattn::Status;
using namespace thriftattn::c_api;

constexpr std::int32_t kHighTiers = 2;
// The struct ended here once.
constexpr std::size_t kFirstConfigSize = offsetof(thriftattn_cache_config, high_tier);

thriftattn_cache_config default_config() {
  thriftattn_cache_config config = {};
  write_numerics({}, &config);
  return config;
}

Status read_config(const thriftattn_cache_config* in, PagedKvCacheConfig* out) {
  thriftattn_cache_config config = default_config();
  Status status = read_struct(in, "config", kFirstConfigSize, &config);
  if (status.ok()) status = read_numerics(config, &out->numerics);
  if (status.ok()) status = check_enum("config.high_tier", config.high_tier, kHighTiers);
  if (!status.ok()) return status;
  out->kv_heads = config.kv_heads;
  out->head_dim = config.head_dim;
  out->pages = config.pages;
  out->channel_bounds = config.channel_bounds != 0;
  out->high_tier = static_cast<HighTier>(config.high_tier);
  return {};
}

}  // namespace

void thriftattn_cache_config_default(thriftattn_cache_config* config, size_t struct_size) {
  write_struct(default_config(), config, struct_size);
}

thriftattn_status thriftattn_cache_create(const thriftattn_cache_config* config,
                                          thriftattn_cache** cache) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    *cache = nullptr;
    PagedKvCacheConfig cpp_config;
    Status status = read_config(config, &cpp_config);
    if (!status.ok()) return status;
    auto created = PagedKvCache::create(cpp_config);
    if (!created.ok()) return created.status();
    *cache = new thriftattn_cache{std::move(created.value())};
    return {};
  });
}

void thriftattn_cache_free(thriftattn_cache* cache) { delete cache; }

thriftattn_status thriftattn_cache_add_sequence(thriftattn_cache* cache, int32_t* sequence) {
  return guarded([&]() -> Status {
    if (cache == nullptr || sequence == nullptr) {
      return invalid_argument("cache or sequence is NULL");
    }
    auto added = cache->cache.add_sequence();
    if (added.ok()) *sequence = added.value();
    return added.status();
  });
}

thriftattn_status thriftattn_cache_free_sequence(thriftattn_cache* cache, int32_t sequence) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    return cache->cache.free_sequence(sequence);
  });
}

thriftattn_status thriftattn_cache_length(const thriftattn_cache* cache, int32_t sequence,
                                          int64_t* tokens) {
  return guarded([&]() -> Status {
    if (cache == nullptr || tokens == nullptr) return invalid_argument("cache or tokens is NULL");
    auto length = cache->cache.length(sequence);
    if (length.ok()) *tokens = length.value();
    return length.status();
  });
}

thriftattn_status thriftattn_cache_free_pages(const thriftattn_cache* cache, int64_t* pages) {
  return guarded([&]() -> Status {
    if (cache == nullptr || pages == nullptr) return invalid_argument("cache or pages is NULL");
    *pages = cache->cache.free_pages();
    return {};
  });
}

thriftattn_status thriftattn_cache_memory_bytes(const thriftattn_cache* cache, int64_t* bytes) {
  return guarded([&]() -> Status {
    if (cache == nullptr || bytes == nullptr) return invalid_argument("cache or bytes is NULL");
    *bytes = cache->cache.memory_bytes();
    return {};
  });
}

thriftattn_status thriftattn_cache_append(thriftattn_cache* cache, const int32_t* sequences,
                                          int64_t sequence_count, const int64_t* offsets,
                                          const thriftattn_const_tensor* k,
                                          const thriftattn_const_tensor* v) {
  return guarded([&]() -> Status {
    if (cache == nullptr || k == nullptr || v == nullptr) {
      return invalid_argument("cache, k or v is NULL");
    }
    AppendRows rows;
    Status status = read_append(sequences, sequence_count, offsets, *k, *v, &rows);
    if (!status.ok()) return status;
    return cache->cache.append(rows.sequences, rows.offsets, rows.k, rows.v);
  });
}
