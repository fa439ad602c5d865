// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/convert.h"
#include "c_api/cuda/handles.h"
#include "c_api/handles.h"

namespace {

using thriftattn::CudaKvCache;
using thriftattn::CudaKvCacheConfig;
using thriftattn::CudaStream;
using thriftattn::HighTier;
using thriftattn::invalid_argument;
using thriftattn::Residence;
using thriftattn::Status;
using namespace thriftattn::c_api;

constexpr std::int32_t kResidences = 2;
constexpr std::int32_t kHighTiers = 2;
// Size of the struct's first version; a later field leaves it as it is.
constexpr std::size_t kFirstConfigSize = sizeof(thriftattn_cuda_cache_config);

thriftattn_cuda_cache_config default_config() {
  const CudaKvCacheConfig from;
  thriftattn_cuda_cache_config config = {};
  config.device = from.device;
  config.max_sequences = from.max_sequences;
  config.max_tokens = from.max_tokens;
  write_numerics(from.numerics, &config);
  config.channel_bounds = from.channel_bounds;
  config.residence = static_cast<std::int32_t>(from.residence);
  config.high_tier = static_cast<std::int32_t>(from.high_tier);
  return config;
}

Status read_config(const thriftattn_cuda_cache_config* in, CudaKvCacheConfig* out) {
  thriftattn_cuda_cache_config config = default_config();
  Status status = read_struct(in, "config", kFirstConfigSize, &config);
  if (status.ok()) status = read_numerics(config, &out->numerics);
  if (status.ok()) status = check_enum("config.residence", config.residence, kResidences);
  if (status.ok()) status = check_enum("config.high_tier", config.high_tier, kHighTiers);
  if (!status.ok()) return status;
  out->device = config.device;
  out->kv_heads = config.kv_heads;
  out->head_dim = config.head_dim;
  out->pages = config.pages;
  out->max_sequences = config.max_sequences;
  out->max_tokens = config.max_tokens;
  out->channel_bounds = config.channel_bounds != 0;
  out->residence = static_cast<Residence>(config.residence);
  out->high_tier = static_cast<HighTier>(config.high_tier);
  return {};
}

}  // namespace

void thriftattn_cuda_cache_config_default(thriftattn_cuda_cache_config* config,
                                          size_t struct_size) {
  write_struct(default_config(), config, struct_size);
}

thriftattn_status thriftattn_cuda_crossover_tokens(const thriftattn_cuda_cache_config* config,
                                                   int64_t sequences, int64_t* tokens) {
  return guarded([&]() -> Status {
    if (tokens == nullptr) return invalid_argument("tokens is NULL");
    CudaKvCacheConfig cpp_config;
    Status status = read_config(config, &cpp_config);
    if (status.ok()) *tokens = thriftattn::crossover_tokens(cpp_config, sequences);
    return status;
  });
}

thriftattn_status thriftattn_cuda_cache_create(const thriftattn_cuda_cache_config* config,
                                               thriftattn_cuda_cache** cache) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    *cache = nullptr;
    CudaKvCacheConfig cpp_config;
    Status status = read_config(config, &cpp_config);
    if (!status.ok()) return status;
    auto created = CudaKvCache::create(cpp_config);
    if (!created.ok()) return created.status();
    *cache = new thriftattn_cuda_cache{std::move(created.value())};
    return {};
  });
}

void thriftattn_cuda_cache_free(thriftattn_cuda_cache* cache) { delete cache; }

thriftattn_status thriftattn_cuda_cache_add_sequence(thriftattn_cuda_cache* cache,
                                                     int32_t* sequence) {
  return guarded([&]() -> Status {
    if (cache == nullptr || sequence == nullptr) {
      return invalid_argument("cache or sequence is NULL");
    }
    auto added = cache->cache.add_sequence();
    if (added.ok()) *sequence = added.value();
    return added.status();
  });
}

thriftattn_status thriftattn_cuda_cache_free_sequence(thriftattn_cuda_cache* cache,
                                                      int32_t sequence, void* stream) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    return cache->cache.free_sequence(sequence, CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_cache_length(const thriftattn_cuda_cache* cache, int32_t sequence,
                                               int64_t* tokens) {
  return guarded([&]() -> Status {
    if (cache == nullptr || tokens == nullptr) return invalid_argument("cache or tokens is NULL");
    auto length = cache->cache.length(sequence);
    if (length.ok()) *tokens = length.value();
    return length.status();
  });
}

thriftattn_status thriftattn_cuda_cache_free_pages(const thriftattn_cuda_cache* cache,
                                                   int64_t* pages) {
  return guarded([&]() -> Status {
    if (cache == nullptr || pages == nullptr) return invalid_argument("cache or pages is NULL");
    *pages = cache->cache.free_pages();
    return {};
  });
}

thriftattn_status thriftattn_cuda_cache_device_bytes(const thriftattn_cuda_cache* cache,
                                                     int64_t* bytes) {
  return guarded([&]() -> Status {
    if (cache == nullptr || bytes == nullptr) return invalid_argument("cache or bytes is NULL");
    *bytes = cache->cache.device_bytes();
    return {};
  });
}

thriftattn_status thriftattn_cuda_cache_append(thriftattn_cuda_cache* cache,
                                               const int32_t* sequences, int64_t sequence_count,
                                               const int64_t* offsets,
                                               const thriftattn_const_tensor* k,
                                               const thriftattn_const_tensor* v, void* stream) {
  return guarded([&]() -> Status {
    if (cache == nullptr || k == nullptr || v == nullptr) {
      return invalid_argument("cache, k or v is NULL");
    }
    AppendRows rows;
    Status status = read_append(sequences, sequence_count, offsets, *k, *v, &rows);
    if (!status.ok()) return status;
    return cache->cache.append(rows.sequences, rows.offsets, rows.k, rows.v, CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_cache_reserve(thriftattn_cuda_cache* cache,
                                                const int32_t* sequences, int64_t sequence_count,
                                                int64_t tokens, void* stream) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    Status status = check_sequences(sequences, sequence_count);
    if (!status.ok()) return status;
    return cache->cache.reserve({sequences, static_cast<std::size_t>(sequence_count)}, tokens,
                                CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_cache_synchronize(thriftattn_cuda_cache* cache, void* stream) {
  return guarded([&]() -> Status {
    if (cache == nullptr) return invalid_argument("cache is NULL");
    return cache->cache.synchronize(CudaStream{stream});
  });
}
