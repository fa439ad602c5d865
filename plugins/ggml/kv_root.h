// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// When the blocks of a KV cache tensor were written: what keeps its FP4 tiles coherent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ggml.h"

namespace thriftattn::plugin {

// One tensor of a KV cache [n_embd, cells, streams]: a row per cell, blocks of 64 consecutive rows.
// The caller serialises the calls.
class KvRoot {
 public:
  // Whether a tensor has the shape of a cache whose blocks never cross a stream.
  static bool fits(const ggml_tensor* tensor);
  explicit KvRoot(const ggml_tensor* tensor);

  [[nodiscard]] const char* base() const { return base_; }
  [[nodiscard]] const char* end() const { return base_ + rows_ * row_bytes_; }
  [[nodiscard]] std::int64_t row_bytes() const { return row_bytes_; }
  [[nodiscard]] std::int64_t cells() const { return cells_; }  // of a stream
  [[nodiscard]] std::int64_t blocks() const { return static_cast<std::int64_t>(version_.size()); }

  // The bytes [begin, end) changed. `append`: they hold new tokens, so their blocks are fresh until
  // the next append that follows an attention (layers that share a cache all see the same fresh
  // blocks).
  void written(const char* begin, const char* end, bool append);
  void attended() { attended_ = true; }
  // Some writer that the module does not see writes here: the tiles can never be trusted.
  void distrust() { trusted_ = false; }
  [[nodiscard]] bool trusted() const { return trusted_; }

  // Grows with every write to the block.
  [[nodiscard]] std::uint32_t version(std::int64_t block) const { return version_[block]; }
  [[nodiscard]] bool fresh(std::int64_t block) const { return append_epoch_[block] == epoch_; }

 private:
  const char* base_;
  std::int64_t row_bytes_;
  std::int64_t rows_;
  std::int64_t cells_;
  std::vector<std::uint32_t> version_;       // [blocks]
  std::vector<std::uint32_t> append_epoch_;  // [blocks], the epoch of the last append
  std::uint32_t epoch_ = 1;
  bool attended_ = false;
  bool trusted_ = true;
};

}  // namespace thriftattn::plugin
