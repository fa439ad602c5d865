// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A PagedKvCache as the source of one attend call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kv/cache_state.h"
#include "thriftattn/kv_source.h"

namespace thriftattn::kv {

// Query rows are the last q_lens[i] tokens of sequences[i], causal. `cache` must outlive the
// source.
Result<std::unique_ptr<KvSource>> make_paged_source(const CacheState& cache,
                                                    std::span<const SequenceId> sequences,
                                                    std::span<const std::int64_t> q_lens);

}  // namespace thriftattn::kv
