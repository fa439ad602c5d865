// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What every cache checks of an append, and the messages that they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "thriftattn/kv_cache.h"

namespace thriftattn::kv {

inline std::int64_t blocks_of(std::int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

// Types, shapes and pointers.
Status check_views(int kv_heads, int head_dim, const ConstTensorView& k, const ConstTensorView& v);
// One offset more than sequences, from 0 to `tokens`, never falling.
Status check_offsets(std::size_t sequences, std::span<const std::int64_t> offsets,
                     std::int64_t tokens);

// name: "k" or "v"; token: of the call.
Status bad_value(const char* name, std::int64_t token, std::int64_t head, int dim, float value);
Status short_of_pages(std::int64_t needed, std::int64_t free, std::int64_t pages);
Status named_twice(SequenceId id);

}  // namespace thriftattn::kv
