// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A source whose visibility, tiers and row formats a test chooses: what owners of foreign memory
// write.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "support/problem.h"
#include "thriftattn/block_store.h"

namespace thriftattn::testing {

enum class RowFormat : std::uint8_t {
  kHalf,      // decode = nullptr
  kFloat,     // through a decoder
  kBfloat16,  // through a decoder
};

class CustomSource final : public KvSource {
 public:
  using Visible =
      std::function<std::uint64_t(int sequence, std::int64_t token, std::int64_t block)>;

  // Rows of the problem, [64] a block, further apart than they are long. Slots past the end hold
  // NaN. Full blocks are sealed; visibility is causal.
  CustomSource(const Problem& problem, RowFormat format);

  Visible visible_fn;
  std::function<std::int64_t(int sequence, std::int64_t token)> own_fn;

  void unseal(int sequence, std::int64_t block) { unsealed_.insert({sequence, block}); }
  // Writes one value into channel d of a token of K or V; its block becomes unsealed and
  // non_finite.
  void spoil(int sequence, std::int64_t token, bool in_k, int channel, float value);

  [[nodiscard]] int kv_heads() const override { return kv_heads_; }
  [[nodiscard]] int head_dim() const override { return head_dim_; }
  [[nodiscard]] std::int64_t blocks(int sequence) const override;
  [[nodiscard]] std::uint64_t visible(int sequence, std::int64_t token,
                                      std::int64_t block) const override {
    return visible_fn(sequence, token, block);
  }
  [[nodiscard]] std::int64_t own_block(int sequence, std::int64_t token) const override {
    return own_fn(sequence, token);
  }
  [[nodiscard]] BlockView block(int sequence, std::int64_t block, int kv_head) const override;
  [[nodiscard]] std::int64_t low_k_bytes() const override { return store_->k_bytes(); }
  [[nodiscard]] std::int64_t low_v_bytes() const override { return store_->v_bytes(); }

 private:
  [[nodiscard]] std::int64_t physical(int sequence, std::int64_t block) const {
    return first_block_[sequence] + block;
  }
  [[nodiscard]] RowsView rows(const std::vector<std::byte>& memory, std::int64_t block,
                              int kv_head) const;
  void write(std::vector<std::byte>& memory, std::int64_t block, int kv_head, int slot, int channel,
             double value);

  int kv_heads_ = 0;
  int head_dim_ = 0;
  RowFormat format_ = RowFormat::kHalf;
  std::int64_t stride_bytes_ = 0;
  std::vector<std::int64_t> first_block_;  // [sequences + 1]
  std::vector<std::byte> k_, v_;           // [blocks, kv_heads, 64, stride_bytes_]
  std::unique_ptr<BlockStore> store_;
  std::set<std::pair<int, std::int64_t>> unsealed_, non_finite_;
};

// Causal visibility of tokens 0 .. position of a block.
std::uint64_t causal_mask(std::int64_t position, std::int64_t block);

}  // namespace thriftattn::testing
