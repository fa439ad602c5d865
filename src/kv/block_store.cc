// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "thriftattn/block_store.h"

#include <limits>
#include <new>
#include <string>
#include <utility>

#include "kv/arena.h"
#include "kv/seal.h"
#include "kv/shape.h"
#include "kv/tile_layout.h"

namespace thriftattn {

// Tiles are [blocks, kv_heads, k_bytes], then [blocks, kv_heads, v_bytes]: two streams. Nested, the
// residuals of K and then those of V follow, each [blocks, kv_heads, residual_bytes]. A record is a
// BlockRecord, then the mean of K where the tile does not hold it, then the channel bounds.
struct BlockStore::Impl {
  BlockStoreConfig config;
  kv::TileLayout layout;
  std::int64_t v_begin = 0;
  std::int64_t k_residual_begin = 0;
  std::int64_t v_residual_begin = 0;
  std::int64_t record_bytes = 0;
  kv::Arena tiles;
  kv::Arena records;
  kv::ZeroedArray<State> states;               // [blocks]
  kv::ZeroedArray<std::uint32_t> generations;  // [blocks]

  [[nodiscard]] std::int64_t index(std::int64_t block, int kv_head) const {
    return block * config.kv_heads + kv_head;
  }
  [[nodiscard]] std::byte* k_tile(std::int64_t i) { return tiles.at(i * layout.k_bytes()); }
  [[nodiscard]] std::byte* v_tile(std::int64_t i) {
    return tiles.at(v_begin + i * layout.v_bytes());
  }
  [[nodiscard]] bool nested() const { return config.high_tier == HighTier::kNested; }
  [[nodiscard]] std::byte* k_residual(std::int64_t i) {
    return nested() ? tiles.at(k_residual_begin + i * layout.residual_bytes()) : nullptr;
  }
  [[nodiscard]] std::byte* v_residual(std::int64_t i) {
    return nested() ? tiles.at(v_residual_begin + i * layout.residual_bytes()) : nullptr;
  }
  [[nodiscard]] std::byte* record(std::int64_t i) { return records.at(i * record_bytes); }
  [[nodiscard]] half_t* block_mean(std::int64_t i) {
    return reinterpret_cast<half_t*>(config.numerics.centre_k
                                         ? k_tile(i) + layout.k_mean()
                                         : record(i) + sizeof(kv::BlockRecord));
  }
  // The two arrays end the record, so that they stay aligned whatever stands before them.
  [[nodiscard]] float* channel_min(std::int64_t i) {
    if (!config.channel_bounds) return nullptr;
    return reinterpret_cast<float*>(record(i + 1)) - 2 * config.head_dim;
  }
  [[nodiscard]] float* channel_max(std::int64_t i) {
    return config.channel_bounds ? channel_min(i) + config.head_dim : nullptr;
  }

  [[nodiscard]] bool holds(std::int64_t block) const { return block >= 0 && block < config.blocks; }
  Status check_seal(std::int64_t block, std::span<const RowsView> k, std::span<const RowsView> v,
                    std::uint64_t valid) const;
  bool seal_head(std::int64_t i, const RowsView& k, const RowsView& v, std::uint64_t valid);
};

namespace {

std::int64_t record_size(const BlockStoreConfig& config) {
  std::int64_t bytes = sizeof(kv::BlockRecord);
  if (!config.numerics.centre_k) bytes += std::int64_t{sizeof(half_t)} * config.head_dim;
  if (config.channel_bounds) bytes += 2 * std::int64_t{sizeof(float)} * config.head_dim;
  return bytes;
}

Status check_rows(std::span<const RowsView> rows, int kv_heads, std::uint64_t valid,
                  const char* name) {
  if (static_cast<std::int64_t>(rows.size()) != kv_heads) {
    return invalid_argument(std::string(name) + ": " + std::to_string(rows.size()) +
                            " views of rows, the store has " + std::to_string(kv_heads) +
                            " kv heads");
  }
  for (std::size_t head = 0; head < rows.size() && valid != 0; ++head) {
    if (rows[head].data != nullptr) continue;
    return invalid_argument(std::string(name) + " of kv head " + std::to_string(head) +
                            ": rows are nullptr");
  }
  return {};
}

Status no_memory(const BlockStoreConfig& config) {
  return {StatusCode::kOutOfMemory, "no memory for " + std::to_string(config.blocks) +
                                        " blocks of " + std::to_string(config.kv_heads) +
                                        " kv heads, head_dim " + std::to_string(config.head_dim)};
}

}  // namespace

Status BlockStore::Impl::check_seal(std::int64_t block, std::span<const RowsView> k,
                                    std::span<const RowsView> v, std::uint64_t valid) const {
  if (!holds(block)) {
    return invalid_argument("block " + std::to_string(block) + ": the store has " +
                            std::to_string(config.blocks) + " blocks");
  }
  if (Status status = check_rows(k, config.kv_heads, valid, "k"); !status.ok()) return status;
  return check_rows(v, config.kv_heads, valid, "v");
}

bool BlockStore::Impl::seal_head(std::int64_t i, const RowsView& k, const RowsView& v,
                                 std::uint64_t valid) {
  auto* stored = new (record(i)) kv::BlockRecord;
  kv::SealInput input{k, valid, config.head_dim, config.numerics};
  const kv::KeyTarget target{k_tile(i), block_mean(i), channel_min(i), channel_max(i),
                             k_residual(i)};
  if (!kv::seal_keys(input, target, *stored)) return false;
  input.rows = v;
  return kv::seal_values(input, {v_tile(i), v_residual(i)}, *stored);
}

Result<BlockStore> BlockStore::create(const BlockStoreConfig& config) {
  Status shape = kv::check_shape(config.kv_heads, config.head_dim, config.blocks,
                                 std::numeric_limits<std::int64_t>::max(), "blocks");
  if (!shape.ok()) return shape;
  if (Status tier = kv::check_high_tier(config.high_tier); !tier.ok()) return tier;

  std::unique_ptr<Impl> impl(new (std::nothrow) Impl);
  if (impl == nullptr) return no_memory(config);
  impl->config = config;
  impl->layout = kv::TileLayout{config.head_dim};
  impl->record_bytes = record_size(config);
  const std::int64_t residual_bytes = impl->nested() ? impl->layout.residual_bytes() : 0;
  const auto tile_bytes =
      kv::checked_product({config.blocks, config.kv_heads,
                           impl->layout.k_bytes() + impl->layout.v_bytes() + 2 * residual_bytes});
  const auto record_bytes =
      kv::checked_product({config.blocks, config.kv_heads, impl->record_bytes});
  if (!tile_bytes || !record_bytes) return no_memory(config);

  const std::int64_t tiles_of_a_kind = config.blocks * config.kv_heads;
  impl->v_begin = tiles_of_a_kind * impl->layout.k_bytes();
  impl->k_residual_begin = impl->v_begin + tiles_of_a_kind * impl->layout.v_bytes();
  impl->v_residual_begin = impl->k_residual_begin + tiles_of_a_kind * residual_bytes;
  auto tiles = kv::Arena::allocate(*tile_bytes);
  auto records = kv::Arena::allocate(*record_bytes);
  impl->states = kv::allocate_zeroed<State>(config.blocks);
  impl->generations = kv::allocate_zeroed<std::uint32_t>(config.blocks);
  if (!tiles || !records || !impl->states || !impl->generations) return no_memory(config);
  impl->tiles = std::move(*tiles);
  impl->records = std::move(*records);
  return BlockStore(std::move(impl));
}

BlockStore::BlockStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlockStore::BlockStore(BlockStore&&) noexcept = default;
BlockStore& BlockStore::operator=(BlockStore&&) noexcept = default;
BlockStore::~BlockStore() = default;

const BlockStoreConfig& BlockStore::config() const { return impl_->config; }

Status BlockStore::seal(std::int64_t block, std::span<const RowsView> k,
                        std::span<const RowsView> v, std::uint64_t valid) {
  if (Status status = impl_->check_seal(block, k, v, valid); !status.ok()) return status;
  bool finite = true;
  for (int head = 0; head < impl_->config.kv_heads && finite; ++head) {
    finite = impl_->seal_head(impl_->index(block, head), k[head], v[head], valid);
  }
  impl_->states[block] = finite ? State::kSealed : State::kPinned;
  ++impl_->generations[block];
  return {};
}

void BlockStore::invalidate(std::int64_t block) {
  if (impl_->holds(block)) impl_->states[block] = State::kOpen;
}

BlockStore::State BlockStore::state(std::int64_t block) const {
  return impl_->holds(block) ? impl_->states[block] : State::kOpen;
}

std::uint32_t BlockStore::generation(std::int64_t block) const {
  return impl_->holds(block) ? impl_->generations[block] : 0;
}

LowTile BlockStore::tile(std::int64_t block, int kv_head) const {
  const std::int64_t i = impl_->index(block, kv_head);
  const kv::TileLayout& layout = impl_->layout;
  const std::byte* k = impl_->k_tile(i);
  const std::byte* v = impl_->v_tile(i);
  LowTile tile;
  tile.k = {reinterpret_cast<const std::uint32_t*>(k),
            reinterpret_cast<const std::uint8_t*>(k + layout.k_scales()), layout.head_dim,
            kBlockTokens};
  tile.k_mean = reinterpret_cast<const half_t*>(k + layout.k_mean());
  tile.k_exponent = reinterpret_cast<const kv::BlockRecord*>(impl_->record(i))->k_exponent;
  tile.v = {reinterpret_cast<const std::uint32_t*>(v),
            reinterpret_cast<const std::uint8_t*>(v + layout.v_scales()), kBlockTokens,
            layout.head_dim};
  tile.v_exponents = reinterpret_cast<const std::uint8_t*>(v + layout.v_exponents());
  return tile;
}

ResidualTile BlockStore::residual(std::int64_t block, int kv_head) const {
  const std::int64_t i = impl_->index(block, kv_head);
  const LowTile low = tile(block, kv_head);
  const auto panel = [this](const std::byte* part, const Nvfp4Panel& refined) -> Nvfp4Panel {
    return {reinterpret_cast<const std::uint32_t*>(part),
            reinterpret_cast<const std::uint8_t*>(part + impl_->layout.residual_scales()),
            refined.contraction, refined.lanes};
  };
  return {.k = panel(impl_->k_residual(i), low.k),
          .k_exponent = low.k_exponent - kResidualShift,
          .v = panel(impl_->v_residual(i), low.v)};
}

BlockSummary BlockStore::summary(std::int64_t block, int kv_head) const {
  const std::int64_t i = impl_->index(block, kv_head);
  const auto& record = *reinterpret_cast<const kv::BlockRecord*>(impl_->record(i));
  return {.error_k = record.error_k,
          .error_v = record.error_v,
          .max_k = record.max_k,
          .max_v = record.max_v,
          .block_mean = impl_->block_mean(i),
          .min_k = impl_->channel_min(i),
          .max_k_channel = impl_->channel_max(i),
          .nested_error_k = record.nested_error_k,
          .nested_error_v = record.nested_error_v};
}

std::int64_t BlockStore::tile_bytes() const { return k_bytes() + v_bytes(); }
std::int64_t BlockStore::k_bytes() const { return impl_->layout.k_bytes(); }
std::int64_t BlockStore::v_bytes() const { return impl_->layout.v_bytes(); }
std::int64_t BlockStore::residual_bytes() const {
  return impl_->nested() ? impl_->layout.residual_bytes() : 0;
}
std::int64_t BlockStore::memory_bytes() const {
  const std::int64_t of_a_block = sizeof(State) + sizeof(std::uint32_t);
  return impl_->tiles.bytes() + impl_->records.bytes() + impl_->config.blocks * of_a_block;
}

}  // namespace thriftattn
