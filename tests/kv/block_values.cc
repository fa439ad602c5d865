// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/block_values.h"

#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

#include "oracle/formats_f64.h"

namespace thriftattn::testing {
namespace {

constexpr int kGap = 5;  // halves between rows
constexpr std::uint16_t kHalfNan = 0x7e01;

template <class T>
void add_bytes(std::vector<std::uint8_t>& out, const T* data, std::int64_t count) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + count * static_cast<std::int64_t>(sizeof(T)));
}

void add_panel(std::vector<std::uint8_t>& out, const Nvfp4Panel& panel) {
  add_bytes(out, panel.codes, panel.contraction / 8 * panel.lanes);
  add_bytes(out, panel.scales, panel.contraction / kScaleGroup * panel.lanes);
}

}  // namespace

BlockRows::BlockRows(int head_dim, const Value& value)
    : head_dim_(head_dim),
      memory_(static_cast<std::size_t>(kTestKvHeads * kBlockTokens * (head_dim + kGap)),
              half_t{kHalfNan}) {
  for (int head = 0; head < kTestKvHeads; ++head) {
    for (int token = 0; token < kBlockTokens; ++token) {
      for (int d = 0; d < head_dim; ++d) set(head, token, d, value(head, token, d));
    }
  }
}

BlockRows BlockRows::gaussian(int head_dim, unsigned seed, float scale, float offset) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(offset, scale);
  return {head_dim, [&](int, int, int) { return normal(random); }};
}

std::size_t BlockRows::index(int kv_head, int token, int dim) const {
  return static_cast<std::size_t>((kv_head * kBlockTokens + token) * (head_dim_ + kGap) + dim);
}

half_t& BlockRows::at(int kv_head, int token, int dim) {
  return memory_[index(kv_head, token, dim)];
}

double BlockRows::value(int kv_head, int token, int dim) const {
  return oracle::decode_half(memory_[index(kv_head, token, dim)].bits);
}

void BlockRows::set(int kv_head, int token, int dim, float value) {
  at(kv_head, token, dim) = half_t{oracle::encode_half(value)};
}

void BlockRows::poison(int token) {
  for (int head = 0; head < kTestKvHeads; ++head) {
    for (int d = 0; d < head_dim_; ++d) at(head, token, d) = half_t{kHalfNan};
  }
}

std::vector<RowsView> BlockRows::views() const {
  std::vector<RowsView> views;
  for (int head = 0; head < kTestKvHeads; ++head) {
    views.push_back({memory_.data() + index(head, 0, 0),
                     static_cast<std::int64_t>(sizeof(half_t)) * (head_dim_ + kGap), nullptr});
  }
  return views;
}

BlockStore make_store(int head_dim, const Numerics& numerics, std::int64_t blocks,
                      bool channel_bounds, HighTier high_tier) {
  auto store = BlockStore::create({.kv_heads = kTestKvHeads,
                                   .head_dim = head_dim,
                                   .blocks = blocks,
                                   .numerics = numerics,
                                   .channel_bounds = channel_bounds,
                                   .high_tier = high_tier});
  if (!store.ok()) throw std::runtime_error(store.status().message());
  return std::move(store.value());
}

std::vector<std::uint8_t> stored_bytes(const BlockStore& store, std::int64_t block, int kv_head,
                                       bool low_only) {
  const LowTile tile = store.tile(block, kv_head);
  const BlockSummary summary = store.summary(block, kv_head);
  const int head_dim = store.config().head_dim;
  std::vector<std::uint8_t> out;
  for (const Nvfp4Panel& panel : {tile.k, tile.v}) add_panel(out, panel);
  add_bytes(out, tile.k_mean, head_dim);
  add_bytes(out, &tile.k_exponent, 1);
  add_bytes(out, tile.v_exponents, kBlockTokens);
  for (const float* x : {&summary.error_k, &summary.error_v, &summary.max_k, &summary.max_v}) {
    add_bytes(out, x, 1);
  }
  add_bytes(out, summary.block_mean, head_dim);
  if (summary.min_k != nullptr) {
    add_bytes(out, summary.min_k, head_dim);
    add_bytes(out, summary.max_k_channel, head_dim);
  }
  if (low_only || store.config().high_tier != HighTier::kNested) return out;
  const ResidualTile residual = store.residual(block, kv_head);
  for (const Nvfp4Panel& panel : {residual.k, residual.v}) add_panel(out, panel);
  add_bytes(out, &residual.k_exponent, 1);
  add_bytes(out, &summary.nested_error_k, 1);
  add_bytes(out, &summary.nested_error_v, 1);
  return out;
}

std::vector<Numerics> all_numerics() {
  std::vector<Numerics> all;
  for (const ScaleRule rule : {ScaleRule::kFourOverSix, ScaleRule::kNearest}) {
    for (const bool centre : {true, false}) {
      for (const bool norms : {true, false}) all.push_back({rule, centre, norms});
    }
  }
  return all;
}

double distance(const std::vector<double>& a, const std::vector<double>& b, int token,
                int head_dim) {
  double squares = 0;
  for (int i = token * head_dim; i < (token + 1) * head_dim; ++i) {
    squares += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(squares);
}

std::vector<double> to_doubles(const BlockRows& rows, int kv_head, std::uint64_t valid) {
  std::vector<double> out;
  for (int token = 0; token < kBlockTokens; ++token) {
    for (int d = 0; d < rows.head_dim(); ++d) {
      out.push_back(((valid >> token) & 1) != 0 ? rows.value(kv_head, token, d) : 0.0);
    }
  }
  return out;
}

}  // namespace thriftattn::testing
