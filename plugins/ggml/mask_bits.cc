// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "mask_bits.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "thriftattn/formats.h"

namespace thriftattn::plugin {
namespace {

constexpr std::uint64_t kAllCells = ~std::uint64_t{0};
constexpr std::uint64_t kFourMasked = 0xFC00FC00FC00FC00;  // four times -inf

// Bits of up to 64 mask values; false for a value that is neither 0 nor -inf.
bool pack(const ggml_fp16_t* values, std::int64_t n, std::uint64_t& bits) {
  bits = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const bool zero = (values[i] & 0x7FFF) == 0;
    if (!zero && values[i] != 0xFC00) return false;
    bits |= std::uint64_t{zero} << i;
  }
  return true;
}

// Most blocks are wholly visible or wholly masked: two reductions tell.
bool pack_block(const ggml_fp16_t* values, std::uint64_t& bits) {
  std::uint64_t words[kBlockTokens / 4];
  std::memcpy(words, values, sizeof words);
  std::uint64_t any = 0;
  std::uint64_t all = kAllCells;
  for (const std::uint64_t word : words) {
    any |= word;
    all &= word;
  }
  if (any == 0) {
    bits = kAllCells;
    return true;
  }
  if (any == kFourMasked && all == kFourMasked) {
    bits = 0;
    return true;
  }
  return pack(values, kBlockTokens, bits);
}

bool pack_row(const ggml_fp16_t* values, std::int64_t n, std::uint64_t* bits) {
  std::int64_t first = 0;
  for (; first + kBlockTokens <= n; first += kBlockTokens) {
    if (!pack_block(values + first, *bits++)) return false;
  }
  return first == n || pack(values + first, n - first, *bits);
}

}  // namespace

bool MaskBits::build(const FlashProblem& p, Executor& executor) {
  const std::int64_t kv_len = p.kv_len();
  blocks_ = (kv_len + kBlockTokens - 1) / kBlockTokens;
  tokens_ = p.tokens();
  streams_ = p.mask ? p.mask->ne[3] : 1;
  bits_.assign(static_cast<std::size_t>(streams_ * tokens_ * blocks_), kAllCells);
  if (!p.mask) {
    const std::int64_t rest = kv_len % kBlockTokens;
    for (std::int64_t row = 0; rest && row < tokens_; ++row) {
      bits_[row * blocks_ + blocks_ - 1] = (std::uint64_t{1} << rest) - 1;
    }
    return true;
  }
  if (p.mask->ne[2] != 1) return false;
  std::atomic<bool> plain = true;
  executor.run(streams_ * tokens_, [&](std::int64_t row, int) {
    const ggml_fp16_t* values = p.mask_row(row % tokens_, 0, row / tokens_);
    if (plain && !pack_row(values, kv_len, bits_.data() + row * blocks_)) plain = false;
  });
  return plain;
}

std::vector<BlockNeed> MaskBits::needs(std::int64_t stream) const {
  std::vector<BlockNeed> result(static_cast<std::size_t>(blocks_));
  for (std::int64_t token = 0; token < tokens_; ++token) {
    for (std::int64_t b = 0; b < blocks_; ++b) {
      const std::uint64_t bits = visible(stream, token, b);
      result[b].any |= bits;
      result[b].full |= bits == kAllCells;
    }
  }
  return result;
}

}  // namespace thriftattn::plugin
