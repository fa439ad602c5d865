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

// One block of one kv head in the host's layout (formats.h).
struct HostBlock {
  bool sealed = false;
  std::vector<half_t> k_rows, v_rows;  // [64, head_dim]
  std::vector<std::uint32_t> k_codes, v_codes;
  std::vector<std::uint8_t> k_scales, v_scales, v_exponents;
  std::vector<half_t> k_mean, block_mean;
  std::vector<float> k_min, k_max;  // empty where not kept
  int k_exponent = 0;
};

// The device's bytes of a page, every kv head.
struct PageBytes {
  std::vector<std::byte> low_k, low_v, high_k, high_v, block_mean, k_min, k_max;
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

void unpack_k(const DeviceTileLayout& layout, const std::byte* tile, HostBlock& block) {
  const int head_dim = layout.head_dim;
  block.k_codes.resize(static_cast<std::size_t>(head_dim / kCodesPerWord * kBlockTokens));
  block.k_scales.resize(static_cast<std::size_t>(head_dim / kScaleGroup * kBlockTokens));
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) {
      const int token = token_of(t, g);
      for (int word = 0; word < head_dim / kCodesPerWord; ++word) {
        const auto codes = load<std::uint32_t>(tile + layout.k_word(t, g, word));
        block.k_codes[static_cast<std::size_t>(word * kBlockTokens + token)] = host_word(codes);
      }
      for (int group = 0; group < head_dim / kScaleGroup; ++group) {
        const std::byte* at = tile + layout.k_scales() + layout.k_scale(t, g, group);
        block.k_scales[static_cast<std::size_t>(group * kBlockTokens + token)] =
            load<std::uint8_t>(at);
      }
    }
  }
  for (int d = 0; d < head_dim; ++d) {
    block.k_mean.push_back(load<half_t>(tile + layout.k_mean() + 2 * d));
  }
  block.k_exponent = std::ilogb(load<BlockHeader>(tile + layout.k_header()).k_factor);
}

void unpack_v(const DeviceTileLayout& layout, const std::byte* tile, float v_exponent,
              HostBlock& block) {
  const int head_dim = layout.head_dim;
  block.v_codes.resize(static_cast<std::size_t>(kBlockTokens / kCodesPerWord * head_dim));
  block.v_scales.resize(static_cast<std::size_t>(kBlockTokens / kScaleGroup * head_dim));
  for (int d = 0; d < head_dim; ++d) {
    for (int word = 0; word < kBlockTokens / kCodesPerWord; ++word) {
      const auto codes = load<std::uint32_t>(tile + layout.v_word(d, word));
      block.v_codes[static_cast<std::size_t>(word * head_dim + d)] = host_word(codes);
    }
    for (int group = 0; group < kBlockTokens / kScaleGroup; ++group) {
      const std::byte* at = tile + layout.v_scales() + layout.v_scale(d, group);
      block.v_scales[static_cast<std::size_t>(group * head_dim + d)] = load<std::uint8_t>(at);
    }
  }
  for (int token = 0; token < kBlockTokens; ++token) {
    const int weight = load<std::uint8_t>(tile + layout.v_weights() + layout.v_weight(token));
    const int exponent = static_cast<int>(v_exponent) + (weight >> 2) - 15;
    block.v_exponents.push_back(numeric::exponent_to_e8m0(exponent));
  }
}

HostBlock unpack(const DeviceTileLayout& layout, const PageBytes& page, int head, bool sealed) {
  const auto part = [head](const std::vector<std::byte>& bytes, int size) {
    return bytes.data() + static_cast<std::size_t>(head) * static_cast<std::size_t>(size);
  };
  HostBlock block;
  block.sealed = sealed;
  unpack_rows(layout, part(page.high_k, layout.high_bytes()),
              part(page.high_v, layout.high_bytes()), block);
  if (!sealed) return block;
  const std::byte* k_tile = part(page.low_k, layout.k_bytes());
  unpack_k(layout, k_tile, block);
  unpack_v(layout, part(page.low_v, layout.v_bytes()),
           load<BlockHeader>(k_tile + layout.k_header()).v_exponent, block);
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
      : kv_heads_(config.kv_heads), layout_{config.head_dim}, sequences_(std::move(sequences)) {}

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
    view.k = {host.k_rows.data(), stride, nullptr};
    view.v = {host.v_rows.data(), stride, nullptr};
    view.sealed = host.sealed;
    if (!host.sealed) return view;
    view.low = {.k = {host.k_codes.data(), host.k_scales.data(), head_dim, kBlockTokens},
                .k_mean = host.k_mean.data(),
                .k_exponent = host.k_exponent,
                .v = {host.v_codes.data(), host.v_scales.data(), kBlockTokens, head_dim},
                .v_exponents = host.v_exponents.data()};
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

Status read_page(const CacheView& view, std::int64_t page, PageBytes& bytes) {
  const DeviceTileLayout layout{view.head_dim};
  const std::int64_t heads = view.kv_heads;
  Status s = copy_page(view.low_k, page, heads * layout.k_bytes(), bytes.low_k);
  if (s.ok()) s = copy_page(view.low_v, page, heads * layout.v_bytes(), bytes.low_v);
  if (s.ok()) s = copy_page(view.high_k, page, heads * layout.high_bytes(), bytes.high_k);
  if (s.ok()) s = copy_page(view.high_v, page, heads * layout.high_bytes(), bytes.high_v);
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
    s = read_page(view, table[block], bytes);
    const bool sealed = static_cast<std::int64_t>(block + 1) * kBlockTokens <= length;
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
