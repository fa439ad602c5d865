// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "support/custom_source.h"

#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "oracle/formats_f64.h"

namespace thriftattn::testing {
namespace {

constexpr std::int64_t kPaddingBytes = 12;  // rows are not contiguous

void decode_float(const void* row, float* out, std::int64_t n) {
  std::memcpy(out, row, static_cast<std::size_t>(n) * sizeof(float));
}

void decode_bfloat16_row(const void* row, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, static_cast<const char*>(row) + 2 * i, sizeof bits);
    out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
}

}  // namespace

std::uint64_t causal_mask(std::int64_t position, std::int64_t block) {
  const std::int64_t seen = position + 1 - block * kBlockTokens;
  if (seen <= 0) return 0;
  return seen >= kBlockTokens ? ~std::uint64_t{0} : (std::uint64_t{1} << seen) - 1;
}

CustomSource::CustomSource(const Problem& problem, RowFormat format)
    : kv_heads_(problem.shape.kv_heads), head_dim_(problem.shape.head_dim), format_(format) {
  stride_bytes_ = head_dim_ * (format == RowFormat::kFloat ? 4 : 2) + kPaddingBytes;
  first_block_.push_back(0);
  for (const Tensor& k : problem.k) {
    first_block_.push_back(first_block_.back() + (k.tokens + kBlockTokens - 1) / kBlockTokens);
  }
  const std::int64_t blocks = first_block_.back();
  k_.assign(static_cast<std::size_t>(blocks * kv_heads_ * kBlockTokens * stride_bytes_),
            std::byte{0xff});
  v_ = k_;
  Result<BlockStore> store = BlockStore::create({.kv_heads = kv_heads_,
                                                 .head_dim = head_dim_,
                                                 .blocks = blocks,
                                                 .numerics = problem.shape.numerics,
                                                 .channel_bounds = problem.shape.channel_bounds,
                                                 .high_tier = problem.shape.high_tier});
  if (!store.ok()) throw std::runtime_error(store.status().message());
  store_ = std::make_unique<BlockStore>(std::move(store.value()));
  for (int s = 0; s < static_cast<int>(problem.k.size()); ++s) {
    const std::int64_t tokens = problem.k[s].tokens;
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (int h = 0; h < kv_heads_; ++h) {
        for (int d = 0; d < head_dim_; ++d) {
          const std::int64_t at = (t * kv_heads_ + h) * head_dim_ + d;
          const std::int64_t b = physical(s, t / kBlockTokens);
          const int slot = static_cast<int>(t % kBlockTokens);
          write(k_, b, h, slot, d, problem.k[s].get(at));
          write(v_, b, h, slot, d, problem.v[s].get(at));
        }
      }
    }
    for (std::int64_t b = 0; b < this->blocks(s); ++b) {
      if ((b + 1) * kBlockTokens > tokens) {
        unseal(s, b);
        continue;
      }
      std::vector<RowsView> k, v;
      for (int h = 0; h < kv_heads_; ++h) {
        k.push_back(rows(k_, physical(s, b), h));
        v.push_back(rows(v_, physical(s, b), h));
      }
      const Status status = store_->seal(physical(s, b), k, v);
      if (!status.ok()) throw std::runtime_error(status.message());
    }
  }
  const auto position = [kv = problem.shape.sequences](int s, std::int64_t token) {
    return kv[s].kv_len - kv[s].q_len + token;
  };
  visible_fn = [position](int s, std::int64_t token, std::int64_t b) {
    return causal_mask(position(s, token), b);
  };
  own_fn = [position](int s, std::int64_t token) { return position(s, token) / kBlockTokens; };
}

std::int64_t CustomSource::blocks(int sequence) const {
  return first_block_[sequence + 1] - first_block_[sequence];
}

RowsView CustomSource::rows(const std::vector<std::byte>& memory, std::int64_t block,
                            int kv_head) const {
  const std::int64_t first = (block * kv_heads_ + kv_head) * kBlockTokens * stride_bytes_;
  const RowDecoder decode = format_ == RowFormat::kHalf    ? nullptr
                            : format_ == RowFormat::kFloat ? decode_float
                                                           : decode_bfloat16_row;
  return {memory.data() + first, stride_bytes_, decode};
}

void CustomSource::write(std::vector<std::byte>& memory, std::int64_t block, int kv_head, int slot,
                         int channel, double value) {
  std::byte* row =
      memory.data() + ((block * kv_heads_ + kv_head) * kBlockTokens + slot) * stride_bytes_;
  if (format_ == RowFormat::kFloat) {
    const auto x = static_cast<float>(value);
    std::memcpy(row + channel * 4, &x, sizeof x);
    return;
  }
  const std::uint16_t x =
      format_ == RowFormat::kHalf ? oracle::encode_half(value) : oracle::encode_bfloat16(value);
  std::memcpy(row + channel * 2, &x, sizeof x);
}

void CustomSource::spoil(int sequence, std::int64_t token, bool in_k, int channel, float value) {
  const std::int64_t block = token / kBlockTokens;
  write(in_k ? k_ : v_, physical(sequence, block), 0, static_cast<int>(token % kBlockTokens),
        channel, value);
  unsealed_.insert({sequence, block});
  non_finite_.insert({sequence, block});
}

BlockView CustomSource::block(int sequence, std::int64_t block, int kv_head) const {
  const std::int64_t at = physical(sequence, block);
  BlockView view;
  view.k = rows(k_, at, kv_head);
  view.v = rows(v_, at, kv_head);
  view.non_finite = non_finite_.contains({sequence, block});
  view.sealed = !unsealed_.contains({sequence, block});
  if (view.sealed) {
    view.low = store_->tile(at, kv_head);
    view.summary = store_->summary(at, kv_head);
    view.high_tier = store_->config().high_tier;
    if (view.nested()) view.residual = store_->residual(at, kv_head);
  }
  return view;
}

}  // namespace thriftattn::testing
