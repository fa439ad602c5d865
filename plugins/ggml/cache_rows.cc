// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_rows.h"

#include <cmath>

namespace thriftattn::plugin {
namespace {

// A half is not finite where its exponent bits are all ones.
bool finite_halves(const void* row, int n) {
  const auto* bits = static_cast<const std::uint16_t*>(row);
  unsigned bad = 0;
  for (int i = 0; i < n; ++i) bad |= (bits[i] & 0x7C00u) == 0x7C00u;
  return bad == 0;
}

bool finite_floats(const float* x, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] * 0.0f;
  return sum == 0.0f;
}

}  // namespace

bool CacheRows::finite_v(std::int64_t stream, std::int64_t block, std::uint64_t cells) const {
  float row[kMaxHeadDim];
  for (int head = 0; head < kv_heads; ++head) {
    const RowsView view = v.rows(stream, block, head);
    for (int t = 0; t < kBlockTokens; ++t) {
      if (!(cells >> t & 1)) continue;
      const char* data = static_cast<const char*>(view.data) + t * view.stride_bytes;
      if (view.decode) view.decode(data, row, head_dim);
      if (!(view.decode ? finite_floats(row, head_dim) : finite_halves(data, head_dim)))
        return false;
    }
  }
  return true;
}

}  // namespace thriftattn::plugin
