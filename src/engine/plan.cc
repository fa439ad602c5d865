// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/plan.h"

#include <algorithm>

namespace thriftattn::engine {
namespace {

constexpr std::int64_t kAutoTokenRows =
    16;  // SelectionUnit::kAuto: calls up to this length are decode

// Tokens from `first` that belong to one tile: those whose own block is the same. Sources that do
// not know positions get tiles of 64 rows from the first one.
int tile_length(const KvSource& source, int sequence, std::int64_t first, std::int64_t q_len) {
  const std::int64_t own = source.own_block(sequence, first);
  const std::int64_t end =
      std::min(q_len, (own < 0 ? first / kBlockTokens * kBlockTokens : first) + kBlockTokens);
  std::int64_t token = first + 1;
  while (token < end && source.own_block(sequence, token) == own) ++token;
  return static_cast<int>(token - first);
}

}  // namespace

std::vector<PanelPlan> plan_panels(const KvSource& source, std::span<const std::int64_t> q_offsets,
                                   int q_heads, SelectionUnit unit) {
  std::vector<PanelPlan> panels;
  const int group = q_heads / source.kv_heads();
  std::int64_t units = 0;
  const auto add = [&](PanelPlan panel) {
    panel.first_unit = units;
    units += panel.units();
    panels.push_back(panel);
  };
  for (int s = 0; s + 1 < static_cast<int>(q_offsets.size()); ++s) {
    const std::int64_t q_len = q_offsets[s + 1] - q_offsets[s];
    SelectionUnit kind = unit;
    if (kind == SelectionUnit::kAuto) {
      kind = q_len <= kAutoTokenRows ? SelectionUnit::kToken : SelectionUnit::kTile;
    }
    const bool tile = kind == SelectionUnit::kTile;
    const int panel_tokens = std::max(1, kPanelRows / group);
    for (int h = 0; h < source.kv_heads(); ++h) {
      for (std::int64_t t = 0; t < q_len;) {
        const int tokens = tile ? tile_length(source, s, t, q_len)
                                : static_cast<int>(std::min<std::int64_t>(panel_tokens, q_len - t));
        PanelPlan panel{.sequence = s,
                        .kv_head = h,
                        .first_token = t,
                        .tokens = tokens,
                        .first_q_head = h * group,
                        .q_heads = tile ? 1 : group,
                        .tile = tile};
        panel.rows_per_unit = tile ? tokens : kind == SelectionUnit::kToken ? group : 1;
        for (int i = 0; i < (tile ? group : 1); ++i, ++panel.first_q_head) add(panel);
        t += tokens;
      }
    }
  }
  return panels;
}

}  // namespace thriftattn::engine
