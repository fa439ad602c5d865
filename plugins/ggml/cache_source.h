// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// attend's view of one attention node: sequences are streams, blocks are 64 consecutive cells.
#pragma once

#include <vector>

#include "kv_pair.h"
#include "thriftattn/kv_source.h"

namespace thriftattn::plugin {

class CacheSource final : public KvSource {
 public:
  // `pair` may be nullptr: everything in 16 bit then. Call add_stream for each stream, in order.
  CacheSource(const CacheRows& rows, const MaskBits& mask, KvPair* pair, const Options& options)
      : rows_(rows), mask_(mask), pair_(pair), options_(options) {}
  // needs: [blocks] of the stream. `several_rows`: rows of different visibility share the blocks.
  void add_stream(std::int64_t stream, std::span<const BlockNeed> needs, bool several_rows);

  [[nodiscard]] int kv_heads() const override { return rows_.kv_heads; }
  [[nodiscard]] int head_dim() const override { return rows_.head_dim; }
  [[nodiscard]] std::int64_t blocks(int) const override { return mask_.blocks(); }
  [[nodiscard]] std::uint64_t visible(int stream, std::int64_t token,
                                      std::int64_t block) const override {
    return mask_.visible(stream, token, block);
  }
  // A cell's position is not its place: the mask alone says who sees what.
  [[nodiscard]] std::int64_t own_block(int, std::int64_t) const override { return -1; }
  [[nodiscard]] BlockView block(int stream, std::int64_t block, int kv_head) const override;
  [[nodiscard]] std::int64_t low_k_bytes() const override;
  [[nodiscard]] std::int64_t low_v_bytes() const override;

 private:
  struct BlockInfo {
    bool sealed = false;
    bool non_finite = false;
  };
  const CacheRows& rows_;
  const MaskBits& mask_;
  KvPair* pair_;
  const Options& options_;
  std::vector<std::int64_t> first_block_;  // [streams], in the cache
  std::vector<BlockInfo> info_;            // [streams, blocks]
};

}  // namespace thriftattn::plugin
