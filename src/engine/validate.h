// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What attend refuses, and how it says so.
#pragma once

#include <cstdint>
#include <span>

#include "thriftattn/attention.h"

namespace thriftattn::engine {

// The parts that calls on any device share. dim: head_dim of the cache.
Status validate_tensors(const ConstTensorView& q, const TensorView& out,
                        std::span<const std::int64_t> q_offsets, int kv_heads, int dim);
Status validate_selection(const Selection& selection);
Status validate_softmax_scale(float scale);
Status validate_crossover(std::int64_t tokens);

// Everything about a call that can be wrong before it runs: shapes, offsets, options, replay.
Status validate(const AttendParams& params, const KvSource& source);

}  // namespace thriftattn::engine
