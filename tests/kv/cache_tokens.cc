// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/cache_tokens.h"

#include <algorithm>
#include <random>
#include <stdexcept>

#include "oracle/formats_f64.h"

namespace thriftattn::testing {
namespace {

constexpr std::int64_t kTokenValues = kTestKvHeads * kTestHeadDim;

ConstTensorView view(const std::vector<float>& values, std::int64_t begin, std::int64_t end) {
  return ConstTensorView::packed(values.data() + begin * kTokenValues, DType::kF32, end - begin,
                                 kTestKvHeads, kTestHeadDim);
}

const half_t* row(const RowsView& rows, int token) {
  return reinterpret_cast<const half_t*>(static_cast<const char*>(rows.data) +
                                         token * rows.stride_bytes);
}

void poison_rows(const RowsView& rows, int first) {
  if (rows.data == nullptr) return;
  for (int token = first; token < kBlockTokens; ++token) {
    std::fill_n(const_cast<half_t*>(row(rows, token)), kTestHeadDim, half_t{0x7e00});
  }
}

}  // namespace

Tokens Tokens::gaussian(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tokens tokens;
  tokens.count = count;
  for (std::vector<float>* values : {&tokens.k, &tokens.v}) {
    values->resize(static_cast<std::size_t>(count * kTokenValues));
    for (float& x : *values) {
      x = static_cast<float>(oracle::decode_half(oracle::encode_half(normal(random))));
    }
  }
  return tokens;
}

ConstTensorView Tokens::k_view(std::int64_t begin, std::int64_t end) const {
  return view(k, begin, end);
}

ConstTensorView Tokens::v_view(std::int64_t begin, std::int64_t end) const {
  return view(v, begin, end);
}

Status Tokens::append(PagedKvCache& cache, SequenceId sequence, std::int64_t begin,
                      std::int64_t end) const {
  return cache.append(sequence, k_view(begin, end), v_view(begin, end));
}

PagedKvCache make_cache(std::int64_t pages, const Numerics& numerics, HighTier high_tier) {
  auto cache = PagedKvCache::create({.kv_heads = kTestKvHeads,
                                     .head_dim = kTestHeadDim,
                                     .pages = pages,
                                     .numerics = numerics,
                                     .high_tier = high_tier});
  if (!cache.ok()) throw std::runtime_error(cache.status().message());
  return std::move(cache.value());
}

SequenceId add_sequence(PagedKvCache& cache) {
  auto sequence = cache.add_sequence();
  if (!sequence.ok()) throw std::runtime_error(sequence.status().message());
  return sequence.value();
}

std::vector<std::uint8_t> contents(const PagedKvCache& cache, SequenceId sequence) {
  const std::int64_t length = cache.length(sequence).value();
  std::vector<std::uint8_t> out(sizeof(length));
  std::copy_n(reinterpret_cast<const std::uint8_t*>(&length), sizeof(length), out.data());
  const auto table = cache.block_table(sequence);
  for (std::size_t block = 0; block < table.size(); ++block) {
    const std::int32_t page = table[block];
    const auto tokens = std::min<std::int64_t>(length - static_cast<std::int64_t>(block) * 64, 64);
    out.push_back(static_cast<std::uint8_t>(cache.store().state(page)));
    for (int head = 0; head < kTestKvHeads; ++head) {
      for (const RowsView& rows : {cache.k_rows(page, head), cache.v_rows(page, head)}) {
        for (int token = 0; token < tokens && rows.data != nullptr; ++token) {
          const auto* bytes = reinterpret_cast<const std::uint8_t*>(row(rows, token));
          out.insert(out.end(), bytes, bytes + sizeof(half_t) * kTestHeadDim);
        }
      }
      if (cache.store().state(page) != BlockStore::State::kSealed) continue;
      const auto tile = stored_bytes(cache.store(), page, head);
      out.insert(out.end(), tile.begin(), tile.end());
    }
  }
  return out;
}

void poison_unused(PagedKvCache& cache, const std::vector<SequenceId>& sequences) {
  std::vector<int> used(static_cast<std::size_t>(cache.config().pages), 0);
  for (const SequenceId sequence : sequences) {
    std::int64_t left = cache.length(sequence).value();
    for (const std::int32_t page : cache.block_table(sequence)) {
      used[page] = static_cast<int>(std::min<std::int64_t>(left, kBlockTokens));
      left -= used[page];
    }
  }
  for (std::int32_t page = 0; page < cache.config().pages; ++page) {
    for (int head = 0; head < kTestKvHeads; ++head) {
      poison_rows(cache.k_rows(page, head), used[page]);
      poison_rows(cache.v_rows(page, head), used[page]);
    }
  }
}

}  // namespace thriftattn::testing
