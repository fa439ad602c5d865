// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_source.h"

namespace thriftattn::plugin {

void CacheSource::add_stream(std::int64_t stream, std::span<const BlockNeed> needs,
                             bool several_rows) {
  const auto blocks = static_cast<std::int64_t>(needs.size());
  const std::int64_t first = pair_ ? pair_->first_block(rows_, stream, blocks) : 0;
  first_block_.push_back(first);
  for (std::int64_t b = 0; b < blocks; ++b) {
    BlockInfo info;
    const std::uint64_t cells = needs[b].any;
    info.sealed = pair_ && !options_.exact && pair_->sealed(first + b, options_);
    // One row alone never meets a cell that another one masks.
    if (!info.sealed && several_rows && cells) {
      info.non_finite =
          pair_ ? pair_->pinned(first + b) || !pair_->finite(rows_, stream, b, first + b, cells)
                : !rows_.finite_v(stream, b, cells);
    }
    info_.push_back(info);
  }
}

BlockView CacheSource::block(int stream, std::int64_t block, int kv_head) const {
  const BlockInfo& info = info_[stream * mask_.blocks() + block];
  BlockView view;
  view.sealed = info.sealed;
  view.non_finite = info.non_finite;
  view.k = rows_.k.rows(stream, block, kv_head);
  view.v = rows_.v.rows(stream, block, kv_head);
  if (info.sealed) {
    view.low = pair_->store().tile(first_block_[stream] + block, kv_head);
    view.summary = pair_->store().summary(first_block_[stream] + block, kv_head);
    view.high_tier = pair_->store().config().high_tier;
    if (view.nested())
      view.residual = pair_->store().residual(first_block_[stream] + block, kv_head);
  }
  return view;
}

std::int64_t CacheSource::low_k_bytes() const {
  return pair_ && !options_.exact ? pair_->store().k_bytes() : 0;
}
std::int64_t CacheSource::low_v_bytes() const {
  return pair_ && !options_.exact ? pair_->store().v_bytes() : 0;
}

}  // namespace thriftattn::plugin
