// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The checks that BlockStore and PagedKvCache share.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"
#include "thriftattn/status.h"

namespace thriftattn::kv {

// `capacity` counts what `unit` ("blocks", "pages") names and must stay below `capacity_limit`.
Status check_shape(int kv_heads, int head_dim, std::int64_t capacity, std::int64_t capacity_limit,
                   const char* unit);
// A value outside the enumeration, which a caller may have cast.
Status check_high_tier(HighTier high_tier);

}  // namespace thriftattn::kv
