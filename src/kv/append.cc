// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Appending: everything that can fail comes first, then the rows are stored and full blocks sealed.
#include <cmath>
#include <exception>
#include <limits>
#include <string>

#include "kv/append_checks.h"
#include "kv/cache_state.h"
#include "numeric/dtype.h"
#include "numeric/half.h"

namespace thriftattn::kv {
namespace {

// Finds the sequences, and makes room in their block tables for pages that are known to be free.
Status check_sequences(CacheState& cache, const AppendArgs& args) {
  ++cache.append_calls;
  const std::int64_t free = cache.pool.free_pages();
  std::int64_t needed = 0;
  std::int64_t opened = 0;  // blocks of sequences that have none open; one at a time is open
  for (std::size_t i = 0; i < args.sequences.size(); ++i) {
    Sequence* sequence = cache.find(args.sequences[i]);
    if (sequence == nullptr) return unknown_sequence(args.sequences[i]);
    if (sequence->last_append == cache.append_calls) {
      return named_twice(args.sequences[i]);
    }
    sequence->last_append = cache.append_calls;
    needed += blocks_of(sequence->length + args.offsets[i + 1] - args.offsets[i]) -
              static_cast<std::int64_t>(sequence->table.size());
    opened += args.offsets[i + 1] > args.offsets[i] && sequence->length % kBlockTokens == 0;
  }
  if (needed > free) {
    return short_of_pages(needed, free, cache.config.pages);
  }
  if (!cache.pool.reserve_rows(opened)) {
    return {StatusCode::kOutOfMemory,
            "no host memory for the rows of " + std::to_string(opened) + " more open blocks"};
  }
  try {
    for (std::size_t i = 0; i < args.sequences.size(); ++i) {
      Sequence& sequence = *cache.find(args.sequences[i]);
      const std::int64_t tokens = sequence.length + args.offsets[i + 1] - args.offsets[i];
      const auto blocks = static_cast<std::size_t>(blocks_of(tokens));
      // Doubling keeps appends of one token from copying the table every time.
      if (blocks > sequence.table.capacity()) sequence.table.reserve(2 * blocks);
    }
  } catch (const std::exception&) {
    return {StatusCode::kOutOfMemory, "no host memory for the block tables"};
  }
  return {};
}

Status check_values(const ConstTensorView& view, const char* name) {
  float row[kMaxHeadDim];
  for (std::int64_t token = 0; token < view.tokens; ++token) {
    for (std::int64_t head = 0; head < view.heads; ++head) {
      numeric::decode_row(view, token, head, row);
      bool finite = true;
      for (int d = 0; d < view.dim; ++d) finite &= std::fabs(row[d]) < numeric::kHalfOverflow;
      if (finite) continue;
      for (int d = 0; d < view.dim; ++d) {
        if (!(std::fabs(row[d]) < numeric::kHalfOverflow)) {
          return bad_value(name, token, head, d, row[d]);
        }
      }
    }
  }
  return {};
}

void store_row(const ConstTensorView& view, std::int64_t token, std::int64_t head, half_t* out) {
  float row[kMaxHeadDim];
  numeric::decode_row(view, token, head, row);
  for (int d = 0; d < view.dim; ++d) out[d] = numeric::float_to_half(row[d]);
}

// Nested, the rows go as soon as the block is sealed.
Status seal_page(CacheState& cache, std::int32_t page, std::span<RowsView> k,
                 std::span<RowsView> v) {
  for (int head = 0; head < cache.config.kv_heads; ++head) {
    k[head] = cache.k_rows(page, head);
    v[head] = cache.v_rows(page, head);
  }
  if (Status status = cache.store.seal(page, k, v); !status.ok()) return status;
  if (cache.store.state(page) != BlockStore::State::kSealed) {
    return {StatusCode::kInternal, "a value that was checked is not finite"};
  }
  cache.pool.drop_rows(page);
  return {};
}

// Stores tokens [begin, end) of the views at the end of `sequence`.
Status store_tokens(CacheState& cache, Sequence& sequence, const AppendArgs& args,
                    std::int64_t begin, std::int64_t end) {
  const std::span<RowsView> views(cache.seal_views);
  const auto k_views = views.first(cache.config.kv_heads);
  const auto v_views = views.last(cache.config.kv_heads);
  for (std::int64_t token = begin; token < end; ++token) {
    const int slot = static_cast<int>(sequence.length % kBlockTokens);
    if (slot == 0) sequence.table.push_back(cache.pool.acquire());
    const std::int32_t page = sequence.table.back();
    for (int head = 0; head < cache.config.kv_heads; ++head) {
      store_row(args.k, token, head, cache.pool.k_row(page, head, slot));
      store_row(args.v, token, head, cache.pool.v_row(page, head, slot));
    }
    ++sequence.length;
    if (slot + 1 < kBlockTokens) continue;
    if (Status status = seal_page(cache, page, k_views, v_views); !status.ok()) {
      return {StatusCode::kInternal,
              "sealing page " + std::to_string(page) + ": " + status.message()};
    }
  }
  return {};
}

Status check_append(CacheState& cache, const AppendArgs& args) {
  const PagedKvCacheConfig& config = cache.config;
  if (Status s = check_views(config.kv_heads, config.head_dim, args.k, args.v); !s.ok()) return s;
  if (Status s = check_offsets(args.sequences.size(), args.offsets, args.k.tokens); !s.ok())
    return s;
  if (Status status = check_sequences(cache, args); !status.ok()) return status;
  if (Status status = check_values(args.k, "k"); !status.ok()) return status;
  return check_values(args.v, "v");
}

}  // namespace

Status append_tokens(CacheState& cache, const AppendArgs& args) {
  if (Status status = check_append(cache, args); !status.ok()) return status;
  for (std::size_t i = 0; i < args.sequences.size(); ++i) {
    Sequence& sequence = *cache.find(args.sequences[i]);
    Status status = store_tokens(cache, sequence, args, args.offsets[i], args.offsets[i + 1]);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace thriftattn::kv
