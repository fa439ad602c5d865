// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a CudaKvCache holds, brought back to the host and into the host's layouts. For tests and
// inspection: it copies every block and waits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "thriftattn/cuda.h"
#include "thriftattn/kv_source.h"

namespace thriftattn::cuda {

// As PagedKvCache::source: query rows are the last q_lens[i] tokens of sequences[i], causal, by the
// lengths that the device holds. Summaries have what the device keeps: means, and bounds where
// asked for, but no norms. The source owns its data.
Result<std::unique_ptr<KvSource>> snapshot(const CudaKvCache& cache,
                                           std::span<const SequenceId> sequences,
                                           std::span<const std::int64_t> q_lens, CudaStream stream);

}  // namespace thriftattn::cuda
