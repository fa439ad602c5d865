// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/cache/snapshot.h"

#include <cmath>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cuda/cache/cache_impl.h"
#include "cuda/common/tile_layout.h"
#include "kv/append_checks.h"
#include "kv/cache_state.h"
#include "numeric/e8m0.h"

namespace thriftattn::cuda {
namespace {

struct HostPanel {
  std::vector<std::uint32_t> codes;
  std::vector<std::uint8_t> scales;

  [[nodiscard]] Nvfp4Panel view(int contraction, int lanes) const {
    return {codes.data(), scales.data(), contraction, lanes};
  }
};

// One block of one kv head in the host's layout (formats.h).
struct HostBlock {
  bool sealed = false;
  std::vector<half_t> k_rows, v_rows;  // [64, head_dim]; empty where not kept
  HostPanel k, v, k_residual, v_residual;
  std::vector<std::uint8_t> v_exponents;
  std::vector<half_t> k_mean, block_mean;
  std::vector<float> k_min, k_max;  // empty where not kept
  int k_exponent = 0;
};

// The device's bytes of a page, every kv head; of the high tier what it keeps of such a block.
struct PageBytes {
  std::vector<std::byte> low_k, low_v, high_k, high_v, residual_k, residual_v;
  std::vector<std::byte> block_mean, k_min, k_max;
};

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

template <class T>
std::vector<T> load_row(const std::vector<std::byte>& bytes, int head, int head_dim) {
  std::vector<T> row(bytes.empty() ? 0 : static_cast<std::size_t>(head_dim));
  if (bytes.empty()) return row;
  const std::size_t row_bytes = row.size() * sizeof(T);
  std::memcpy(row.data(), bytes.data() + static_cast<std::size_t>(head) * row_bytes, row_bytes);
  return row;
}

// The host's word of 4-bit codes from the device's.
std::uint32_t host_word(std::uint32_t word) {
  std::uint32_t codes = 0;
  for (int slot = 0; slot < kCodesPerWord; ++slot) codes |= unpack_code(word, slot) << (4 * slot);
  return codes;
}

void unpack_rows(const DeviceTileLayout& layout, const std::byte* k, const std::byte* v,
                 HostBlock& block) {
  for (int token = 0; token < kBlockTokens; ++token) {
    for (int d = 0; d < layout.head_dim; ++d) {
      block.k_rows.push_back(load<half_t>(k + layout.high_k(token, d)));
      block.v_rows.push_back(load<half_t>(v + layout.high_v(token, d)));
    }
  }
}

// Codes and scales of a K tile, or of its residual.
HostPanel unpack_k(const DeviceTileLayout& layout, const std::byte* tile) {
  const int head_dim = layout.head_dim;
  HostPanel panel;
  panel.codes.resize(static_cast<std::size_t>(head_dim / kCodesPerWord * kBlockTokens));
  panel.scales.resize(static_cast<std::size_t>(head_dim / kScaleGroup * kBlockTokens));
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) {
      const int token = token_of(t, g);
      for (int word = 0; word < head_dim / kCodesPerWord; ++word) {
        const auto codes = load<std::uint32_t>(tile + layout.k_word(t, g, word));
        panel.codes[static_cast<std::size_t>(word * kBlockTokens + token)] = host_word(codes);
      }
      for (int group = 0; group < head_dim / kScaleGroup; ++group) {
        const std::byte* at = tile + layout.k_scales() + layout.k_scale(t, g, group);
        panel.scales[static_cast<std::size_t>(group * kBlockTokens + token)] =
            load<std::uint8_t>(at);
      }
    }
  }
  return panel;
}

// The same of V.
HostPanel unpack_v(const DeviceTileLayout& layout, const std::byte* tile) {
  const int head_dim = layout.head_dim;
  HostPanel panel;
  panel.codes.resize(static_cast<std::size_t>(kBlockTokens / kCodesPerWord * head_dim));
  panel.scales.resize(static_cast<std::size_t>(kBlockTokens / kScaleGroup * head_dim));
  for (int d = 0; d < head_dim; ++d) {
    for (int word = 0; word < kBlockTokens / kCodesPerWord; ++word) {
      const auto codes = load<std::uint32_t>(tile + layout.v_word(d, word));
      panel.codes[static_cast<std::size_t>(word * head_dim + d)] = host_word(codes);
    }
    for (int group = 0; group < kBlockTokens / kScaleGroup; ++group) {
      const std::byte* at = tile + layout.v_scales() + layout.v_scale(d, group);
      panel.scales[static_cast<std::size_t>(group * head_dim + d)] = load<std::uint8_t>(at);
    }
  }
  return panel;
}

// What the low tiles hold besides codes and scales.
void unpack_rest(const DeviceTileLayout& layout, const std::byte* k, const std::byte* v,
                 HostBlock& block) {
  for (int d = 0; d < layout.head_dim; ++d) {
    block.k_mean.push_back(load<half_t>(k + layout.k_mean() + 2 * d));
  }
  const auto header = load<BlockHeader>(k + layout.k_header());
  block.k_exponent = std::ilogb(header.k_factor);
  for (int token = 0; token < kBlockTokens; ++token) {
    const int weight = load<std::uint8_t>(v + layout.v_weights() + layout.v_weight(token));
    const int exponent = static_cast<int>(header.v_exponent) + (weight >> 2) - 15;
    block.v_exponents.push_back(numeric::exponent_to_e8m0(exponent));
  }
}

HostBlock unpack(const DeviceTileLayout& layout, const PageBytes& page, int head, bool sealed) {
  const auto part = [head](const std::vector<std::byte>& bytes, int size) {
    return bytes.data() + static_cast<std::size_t>(head) * static_cast<std::size_t>(size);
  };
  HostBlock block;
  block.sealed = sealed;
  if (!page.high_k.empty()) {
    unpack_rows(layout, part(page.high_k, layout.high_bytes()),
                part(page.high_v, layout.high_bytes()), block);
  }
  if (!sealed) return block;
  const std::byte* k_tile = part(page.low_k, layout.k_bytes());
  const std::byte* v_tile = part(page.low_v, layout.v_bytes());
  block.k = unpack_k(layout, k_tile);
  block.v = unpack_v(layout, v_tile);
  unpack_rest(layout, k_tile, v_tile, block);
  if (!page.residual_k.empty()) {
    block.k_residual = unpack_k(layout, part(page.residual_k, layout.residual_bytes()));
    block.v_residual = unpack_v(layout, part(page.residual_v, layout.residual_bytes()));
  }
  block.block_mean = load_row<half_t>(page.block_mean, head, layout.head_dim);
  block.k_min = load_row<float>(page.k_min, head, layout.head_dim);
  block.k_max = load_row<float>(page.k_max, head, layout.head_dim);
  return block;
}

struct HostSequence {
  std::int64_t first_position = 0;  // of query token 0
  std::vector<HostBlock> blocks;    // [blocks, kv_heads]
};

class Snapshot final : public KvSource {
 public:
  Snapshot(const CudaKvCacheConfig& config, std::vector<HostSequence> sequences)
      : kv_heads_(config.kv_heads),
        high_tier_(config.high_tier),
        layout_{config.head_dim},
        sequences_(std::move(sequences)) {}

  [[nodiscard]] int kv_heads() const override { return kv_heads_; }
  [[nodiscard]] int head_dim() const override { return layout_.head_dim; }
  [[nodiscard]] std::int64_t blocks(int sequence) const override {
    return static_cast<std::int64_t>(sequences_[sequence].blocks.size()) / kv_heads_;
  }
  [[nodiscard]] std::uint64_t visible(int sequence, std::int64_t token,
                                      std::int64_t block) const override {
    const std::int64_t seen =
        sequences_[sequence].first_position + token - block * kBlockTokens + 1;
    if (seen <= 0) return 0;
    return seen >= kBlockTokens ? ~std::uint64_t{0} : (std::uint64_t{1} << seen) - 1;
  }
  [[nodiscard]] std::int64_t own_block(int sequence, std::int64_t token) const override {
    return (sequences_[sequence].first_position + token) / kBlockTokens;
  }
  [[nodiscard]] BlockView block(int sequence, std::int64_t block, int kv_head) const override {
    const HostBlock& host =
        sequences_[sequence].blocks[static_cast<std::size_t>(block * kv_heads_ + kv_head)];
    const int head_dim = layout_.head_dim;
    const std::int64_t stride = head_dim * std::int64_t{sizeof(half_t)};
    BlockView view;
    if (!host.k_rows.empty()) {
      view.k = {host.k_rows.data(), stride, nullptr};
      view.v = {host.v_rows.data(), stride, nullptr};
    }
    view.sealed = host.sealed;
    if (!host.sealed) return view;
    view.low = {.k = host.k.view(head_dim, kBlockTokens),
                .k_mean = host.k_mean.data(),
                .k_exponent = host.k_exponent,
                .v = host.v.view(kBlockTokens, head_dim),
                .v_exponents = host.v_exponents.data()};
    view.high_tier = high_tier_;
    if (view.nested()) {
      view.residual = {.k = host.k_residual.view(head_dim, kBlockTokens),
                       .k_exponent = host.k_exponent - kResidualShift,
                       .v = host.v_residual.view(kBlockTokens, head_dim)};
    }
    view.summary.block_mean = host.block_mean.data();
    if (host.k_min.empty()) return view;
    view.summary.min_k = host.k_min.data();
    view.summary.max_k_channel = host.k_max.data();
    return view;
  }
  [[nodiscard]] std::int64_t low_k_bytes() const override { return layout_.k_bytes(); }
  [[nodiscard]] std::int64_t low_v_bytes() const override { return layout_.v_bytes(); }

 private:
  int kv_heads_;
  HighTier high_tier_;
  DeviceTileLayout layout_;
  std::vector<HostSequence> sequences_;
};

// Copies `count` elements a kv head of one page; nothing where the cache does not keep them.
template <class T>
Status copy_page(const T* pool, std::int64_t page, std::int64_t count,
                 std::vector<std::byte>& out) {
  out.clear();
  if (pool == nullptr) return {};
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  out.resize(bytes);
  return to_status(cudaMemcpy(out.data(), pool + page * count, bytes, cudaMemcpyDefault),
                   "copying a page");
}

// A sequence's block that lies on `page`.
Status read_page(const CacheView& view, SequenceId sequence, std::int64_t page, bool sealed,
                 PageBytes& bytes) {
  const DeviceTileLayout layout{view.head_dim};
  const std::int64_t heads = view.kv_heads;
  const bool has_rows = !(view.nested() && sealed);
  const std::byte* high_k = has_rows ? view.high_k : nullptr;
  const std::byte* high_v = has_rows ? view.high_v : nullptr;
  const std::int64_t owner = view.nested() ? sequence : page;  // of rows
  Status s = copy_page(view.low_k, page, heads * layout.k_bytes(), bytes.low_k);
  if (s.ok()) s = copy_page(view.low_v, page, heads * layout.v_bytes(), bytes.low_v);
  if (s.ok()) s = copy_page(high_k, owner, heads * layout.high_bytes(), bytes.high_k);
  if (s.ok()) s = copy_page(high_v, owner, heads * layout.high_bytes(), bytes.high_v);
  const std::int64_t residual_bytes = heads * layout.residual_bytes();
  if (s.ok()) s = copy_page(view.residual_k, page, residual_bytes, bytes.residual_k);
  if (s.ok()) s = copy_page(view.residual_v, page, residual_bytes, bytes.residual_v);
  if (s.ok()) s = copy_page(view.block_mean, page, heads * view.head_dim, bytes.block_mean);
  if (s.ok()) s = copy_page(view.k_min, page, heads * view.head_dim, bytes.k_min);
  if (s.ok()) s = copy_page(view.k_max, page, heads * view.head_dim, bytes.k_max);
  return s;
}

// The blocks of a sequence as the device's own tables and length say.
Status read_sequence(const CacheView& view, SequenceId id, std::int64_t q_len,
                     HostSequence& sequence) {
  std::int32_t length = 0;
  Status s = to_status(cudaMemcpy(&length, view.lengths + id, sizeof(length), cudaMemcpyDefault),
                       "a length");
  if (!s.ok()) return s;
  if (q_len < 0 || q_len > length) {
    return invalid_argument("sequence " + std::to_string(id) + ": q_len " + std::to_string(q_len) +
                            ", must be from 0 to its length " + std::to_string(length));
  }
  sequence.first_position = length - q_len;
  if (length == 0) return {};
  std::vector<std::int32_t> table(static_cast<std::size_t>(kv::blocks_of(length)));
  const std::int32_t* row = view.block_table + static_cast<std::int64_t>(id) * view.max_blocks;
  s = to_status(cudaMemcpy(table.data(), row, table.size() * sizeof(*row), cudaMemcpyDefault),
                "a block table");
  PageBytes bytes;
  for (std::size_t block = 0; block < table.size() && s.ok(); ++block) {
    const bool sealed = static_cast<std::int64_t>(block + 1) * kBlockTokens <= length;
    s = read_page(view, id, table[block], sealed, bytes);
    for (int head = 0; head < view.kv_heads && s.ok(); ++head) {
      sequence.blocks.push_back(unpack({view.head_dim}, bytes, head, sealed));
    }
  }
  return s;
}

}  // namespace

Result<std::unique_ptr<KvSource>> snapshot(const CudaKvCache& cache,
                                           std::span<const SequenceId> sequences,
                                           std::span<const std::int64_t> q_lens,
                                           CudaStream stream) {
  if (sequences.size() != q_lens.size()) {
    return invalid_argument("q_lens: " + std::to_string(q_lens.size()) + " values for " +
                            std::to_string(sequences.size()) + " sequences");
  }
  const DeviceScope scope(cache.config().device);
  Status waited = to_status(cudaStreamSynchronize(static_cast<cudaStream_t>(stream.handle)),
                            "waiting for the stream");
  if (!waited.ok()) return waited;
  try {
    std::vector<HostSequence> copies(sequences.size());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (cache.impl().find(sequences[i]) == nullptr) return kv::unknown_sequence(sequences[i]);
      Status status = read_sequence(cache.impl().view(), sequences[i], q_lens[i], copies[i]);
      if (!status.ok()) return status;
    }
    return std::unique_ptr<KvSource>(std::make_unique<Snapshot>(cache.config(), std::move(copies)));
  } catch (const std::exception&) {
    return Status{StatusCode::kOutOfMemory, "no host memory for a snapshot"};
  }
}

}  // namespace thriftattn::cuda
