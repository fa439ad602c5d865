// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv_pair.h"

#include <cstring>
#include <mutex>

namespace thriftattn::plugin {
namespace {

constexpr std::uint64_t kAllCells = ~std::uint64_t{0};

bool needs_bounds(const Options& o) {
  return static_cast<Policy>(o.policy) == Policy::kQuest && !o.exact;
}

bool same_panel(const Nvfp4Panel& a, const Nvfp4Panel& b) {
  const auto cells = static_cast<std::size_t>(a.contraction) * a.lanes;
  return std::memcmp(a.codes, b.codes, cells / 2) == 0 &&
         std::memcmp(a.scales, b.scales, cells / kScaleGroup) == 0;
}

bool same_tile(const LowTile& a, const LowTile& b) {
  return same_panel(a.k, b.k) && same_panel(a.v, b.v) && a.k_exponent == b.k_exponent &&
         std::memcmp(a.k_mean, b.k_mean, sizeof(half_t) * a.k.contraction) == 0 &&
         std::memcmp(a.v_exponents, b.v_exponents, kBlockTokens) == 0;
}

bool same_residual(const ResidualTile& a, const ResidualTile& b) {
  return same_panel(a.k, b.k) && same_panel(a.v, b.v) && a.k_exponent == b.k_exponent;
}

bool same_summary(const BlockSummary& a, const BlockSummary& b, int head_dim) {
  return a.error_k == b.error_k && a.error_v == b.error_v && a.max_k == b.max_k &&
         a.max_v == b.max_v && a.nested_error_k == b.nested_error_k &&
         a.nested_error_v == b.nested_error_v &&
         std::memcmp(a.block_mean, b.block_mean, sizeof(half_t) * head_dim) == 0;
}

// First block of `rows` in a cache, or -1.
std::int64_t block_in(const KvRoot& root, const CellRows& rows, std::int64_t stream,
                      std::int64_t blocks) {
  const std::int64_t block_bytes = root.row_bytes() * kBlockTokens;
  const std::int64_t offset = rows.data + stream * rows.stream_stride - root.base();
  const bool fits = rows.cell_stride == root.row_bytes() && offset >= 0 &&
                    offset % block_bytes < root.row_bytes() &&
                    offset / block_bytes + blocks <= root.blocks();
  return fits ? offset / block_bytes : -1;
}

}  // namespace

KvPair::~KvPair() { count_memory(0, 0); }

std::int64_t KvPair::first_block(const CacheRows& rows, std::int64_t stream,
                                 std::int64_t blocks) const {
  const std::int64_t k = block_in(k_, rows.k, stream, blocks);
  return k == block_in(v_, rows.v, stream, blocks) ? k : -1;
}

Status KvPair::prepare(const CacheRows& rows, const Options& options) {
  if (store_ && (store_->config().channel_bounds || !needs_bounds(options))) return {};
  const Numerics numerics = store_ ? store_->config().numerics : numerics_of(options);
  const HighTier high_tier =
      store_ ? store_->config().high_tier : static_cast<HighTier>(options.high_tier);
  Result<BlockStore> store = BlockStore::create({.kv_heads = rows.kv_heads,
                                                 .head_dim = rows.head_dim,
                                                 .blocks = k_.blocks(),
                                                 .numerics = numerics,
                                                 .channel_bounds = needs_bounds(options),
                                                 .high_tier = high_tier});
  if (!store.ok()) return store.status();
  store_.emplace(std::move(store.value()));
  states_.assign(states_.size(), {});
  count_memory((store_->tile_bytes() + 2 * store_->residual_bytes()) * rows.kv_heads * k_.blocks(),
               (k_.row_bytes() + v_.row_bytes()) * kBlockTokens * k_.blocks());
  return {};
}

void KvPair::count_memory(std::int64_t low_bytes, std::int64_t high_bytes) {
  count(&Stats::low_bytes_total, low_bytes - low_bytes_);
  count(&Stats::high_bytes_total, high_bytes - high_bytes_);
  low_bytes_ = low_bytes;
  high_bytes_ = high_bytes;
}

bool KvPair::current(std::int64_t block) const {
  const BlockState& s = states_[block];
  return s.k_version == k_.version(block) && s.v_version == v_.version(block);
}

bool KvPair::sealed(std::int64_t block, const Options& options) const {
  return current(block) && (options.seal_own || states_[block].valid == kAllCells) &&
         store_->state(block) == BlockStore::State::kSealed;
}

bool KvPair::pinned(std::int64_t block) const {
  return current(block) && store_ && store_->state(block) == BlockStore::State::kPinned;
}

// Cells to seal now; 0 = leave the block as it is.
std::uint64_t KvPair::to_seal(std::int64_t block, const BlockNeed& need,
                              const Options& options) const {
  if (options.seal_own) {
    return current(block) && !(need.any & ~states_[block].valid) ? 0 : need.any;
  }
  const bool fresh = k_.fresh(block) || v_.fresh(block);
  const bool done = current(block) && states_[block].valid == kAllCells;
  return need.full && !fresh && !done ? kAllCells : 0;
}

Status KvPair::seal(BlockStore& store, std::int64_t store_block, const CacheRows& rows,
                    std::int64_t stream, std::int64_t block, std::uint64_t valid) const {
  std::vector<RowsView> k, v;
  for (int head = 0; head < rows.kv_heads; ++head) {
    k.push_back(rows.k.rows(stream, block, head));
    v.push_back(rows.v.rows(stream, block, head));
  }
  return store.seal(store_block, k, v, valid);
}

Status KvPair::refresh(const CacheRows& rows, std::int64_t stream, std::span<const BlockNeed> needs,
                       const Options& options, Executor& executor, Stats& stats) {
  const auto blocks = static_cast<std::int64_t>(needs.size());
  const std::int64_t first = first_block(rows, stream, blocks);
  std::vector<std::int64_t> work;
  for (std::int64_t b = 0; b < blocks; ++b) {
    if (to_seal(first + b, needs[b], options)) work.push_back(b);
  }
  std::mutex mutex;
  Status failed;
  executor.run(static_cast<std::int64_t>(work.size()), [&](std::int64_t i, int) {
    const std::int64_t b = work[i];
    const std::uint64_t valid = to_seal(first + b, needs[b], options);
    Status s = seal(*store_, first + b, rows, stream, b, valid);
    if (!s.ok()) {
      const std::lock_guard lock(mutex);
      failed = s;
      return;
    }
    BlockState& state = states_[first + b];
    state.k_version = k_.version(first + b);
    state.v_version = v_.version(first + b);
    state.valid = valid;
  });
  stats.sealed_blocks += static_cast<std::int64_t>(work.size());
  return failed;
}

Status KvPair::verify(const CacheRows& rows, std::int64_t stream, std::int64_t blocks,
                      Stats& stats) const {
  BlockStoreConfig config = store_->config();
  config.blocks = 1;
  Result<BlockStore> again = BlockStore::create(config);
  if (!again.ok()) return again.status();
  const std::int64_t first = first_block(rows, stream, blocks);
  for (std::int64_t b = 0; b < blocks; ++b) {
    if (!current(first + b) || store_->state(first + b) != BlockStore::State::kSealed) continue;
    BlockStore& fresh = again.value();
    Status s = seal(fresh, 0, rows, stream, b, states_[first + b].valid);
    if (!s.ok()) return s;
    bool same = fresh.state(0) == BlockStore::State::kSealed;
    for (int head = 0; same && head < rows.kv_heads; ++head) {
      same = same_tile(fresh.tile(0, head), store_->tile(first + b, head)) &&
             (config.high_tier != HighTier::kNested ||
              same_residual(fresh.residual(0, head), store_->residual(first + b, head))) &&
             same_summary(fresh.summary(0, head), store_->summary(first + b, head), rows.head_dim);
    }
    ++stats.verified_blocks;
    stats.stale_blocks += !same;
  }
  return {};
}

bool KvPair::finite(const CacheRows& rows, std::int64_t stream, std::int64_t block,
                    std::int64_t cache_block, std::uint64_t cells) {
  BlockState& state = states_[cache_block];
  if (state.finite_version == v_.version(cache_block) && !(cells & ~state.finite_cells))
    return true;
  if (!rows.finite_v(stream, block, cells)) return false;
  state.finite_version = v_.version(cache_block);
  state.finite_cells = cells;
  return true;
}

void KvPair::attended() {
  k_.attended();
  v_.attended();
}

}  // namespace thriftattn::plugin
