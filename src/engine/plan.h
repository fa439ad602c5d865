// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Cuts a call into panels: rows that read the same kv head and are computed together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "thriftattn/attention.h"

namespace thriftattn::engine {

// Rows of one panel; above it only where a single token's group is larger.
inline constexpr int kPanelRows = 64;

// Row r of a panel is query token first_token + r / q_heads, q head first_q_head + r % q_heads.
// Unit u is rows [u * rows_per_unit, (u + 1) * rows_per_unit).
struct PanelPlan {
  int sequence = 0;
  int kv_head = 0;
  std::int64_t first_token = 0;  // of the sequence's rows in this call
  int tokens = 0;
  int first_q_head = 0;
  int q_heads = 0;
  int rows_per_unit = 0;
  std::int64_t first_unit = 0;  // index of unit 0 in the call's trace
  bool tile = false;

  [[nodiscard]] int rows() const { return tokens * q_heads; }
  [[nodiscard]] int units() const { return rows() / rows_per_unit; }
};

// Panels in order of (sequence, kv head, token, q head). q_offsets: [sequences + 1].
std::vector<PanelPlan> plan_panels(const KvSource& source, std::span<const std::int64_t> q_offsets,
                                   int q_heads, SelectionUnit unit);

}  // namespace thriftattn::engine
