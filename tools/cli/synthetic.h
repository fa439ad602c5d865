// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Keys, values and queries that look like a long context: a sink, recent tokens, a few needles, and
// a large rest that carries little. For benchmarks and pictures, not for quality.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "thriftattn/kv_cache.h"

namespace thriftattn::cli {

struct Shape {
  int q_heads = 9;
  int kv_heads = 3;
  int head_dim = 64;
};

// Sets the shape of a known model; throws CliError for an unknown name.
Shape shape_of(const std::string& model);

struct SyntheticData {
  std::vector<float> k;  // [kv_len, kv_heads, head_dim]
  std::vector<float> v;  // [kv_len, kv_heads, head_dim]
  std::vector<float> q;  // [1, q_heads, head_dim]
};
// The same seed gives the same data.
SyntheticData make_synthetic(const Shape& shape, std::int64_t kv_len, std::uint64_t seed);

// A cache with `sequences` sequences of the data each. Throws CliError.
PagedKvCache make_cache(const Shape& shape, const SyntheticData& data, std::int64_t kv_len,
                        int sequences, bool channel_bounds, HighTier high_tier);
// "rows16" or "nested"; throws CliError for another name.
HighTier high_tier_of(const std::string& name);

// |a - b| / |b|.
double relative_distance(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace thriftattn::cli
