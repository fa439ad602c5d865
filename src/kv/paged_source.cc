// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/paged_source.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace thriftattn::kv {
namespace {

class PagedSource final : public KvSource {
 public:
  struct Rows {
    const Sequence* sequence;
    std::int64_t first_position;  // of query token 0
  };

  PagedSource(const CacheState& cache, std::vector<Rows> rows)
      : cache_(cache), rows_(std::move(rows)) {}

  [[nodiscard]] int kv_heads() const override { return cache_.config.kv_heads; }
  [[nodiscard]] int head_dim() const override { return cache_.config.head_dim; }

  [[nodiscard]] std::int64_t blocks(int sequence) const override {
    return static_cast<std::int64_t>(rows_[sequence].sequence->table.size());
  }

  [[nodiscard]] std::uint64_t visible(int sequence, std::int64_t token,
                                      std::int64_t block) const override {
    // Tokens of the block up to the query's own; slots that hold no token lie behind every query.
    const std::int64_t seen = position(sequence, token) - block * kBlockTokens + 1;
    if (seen <= 0) return 0;
    if (seen >= kBlockTokens) return ~std::uint64_t{0};
    return (std::uint64_t{1} << seen) - 1;
  }

  [[nodiscard]] std::int64_t own_block(int sequence, std::int64_t token) const override {
    return position(sequence, token) / kBlockTokens;
  }

  [[nodiscard]] BlockView block(int sequence, std::int64_t block, int kv_head) const override {
    const std::int32_t page = rows_[sequence].sequence->table[block];
    BlockView view;
    view.k = cache_.k_rows(page, kv_head);
    view.v = cache_.v_rows(page, kv_head);
    view.sealed = cache_.store.state(page) == BlockStore::State::kSealed;
    if (view.sealed) {
      view.low = cache_.store.tile(page, kv_head);
      view.summary = cache_.store.summary(page, kv_head);
      view.high_tier = cache_.config.high_tier;
      if (view.nested()) view.residual = cache_.store.residual(page, kv_head);
    }
    return view;
  }

  [[nodiscard]] std::int64_t low_k_bytes() const override { return cache_.store.k_bytes(); }
  [[nodiscard]] std::int64_t low_v_bytes() const override { return cache_.store.v_bytes(); }

 private:
  [[nodiscard]] std::int64_t position(int sequence, std::int64_t token) const {
    return rows_[sequence].first_position + token;
  }

  const CacheState& cache_;
  std::vector<Rows> rows_;  // [sequences]
};

}  // namespace

Result<std::unique_ptr<KvSource>> make_paged_source(const CacheState& cache,
                                                    std::span<const SequenceId> sequences,
                                                    std::span<const std::int64_t> q_lens) {
  if (sequences.size() != q_lens.size()) {
    return invalid_argument("q_lens: " + std::to_string(q_lens.size()) + " values for " +
                            std::to_string(sequences.size()) + " sequences");
  }
  try {
    std::vector<PagedSource::Rows> rows;
    rows.reserve(sequences.size());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const Sequence* sequence = cache.find(sequences[i]);
      if (sequence == nullptr) return unknown_sequence(sequences[i]);
      if (q_lens[i] < 0 || q_lens[i] > sequence->length) {
        return invalid_argument("sequence " + std::to_string(sequences[i]) + ": q_len " +
                                std::to_string(q_lens[i]) + ", must be from 0 to its length " +
                                std::to_string(sequence->length));
      }
      rows.push_back({sequence, sequence->length - q_lens[i]});
    }
    return std::unique_ptr<KvSource>(std::make_unique<PagedSource>(cache, std::move(rows)));
  } catch (const std::exception&) {
    return Status{StatusCode::kOutOfMemory, "no host memory for a source"};
  }
}

}  // namespace thriftattn::kv
