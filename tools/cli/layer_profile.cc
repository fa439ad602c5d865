// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "layer_profile.h"

#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace thriftattn::cli {
namespace {

// Adds one row's masses to its unit's.
void add_row(const float* q, const std::vector<float>& k, std::int64_t tokens, int group,
             const CapturedLayer& layer, std::vector<double>& mean, std::vector<double>& largest) {
  const int dim = layer.head_dim;
  std::vector<float> logits(static_cast<std::size_t>(tokens));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* row = k.data() + t * dim;
    float sum = 0;
    for (int d = 0; d < dim; ++d) sum += q[d] * row[d];
    logits[static_cast<std::size_t>(t)] = sum * layer.softmax_scale;
  }
  const float max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> masses(mean.size());
  double total = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const double p = std::exp(static_cast<double>(logits[static_cast<std::size_t>(t)] - max));
    masses[static_cast<std::size_t>(t / kBlockTokens)] += p;
    total += p;
  }
  for (std::size_t b = 0; b < masses.size(); ++b) {
    mean[b] += masses[b] / total / group;
    largest[b] = std::max(largest[b], masses[b] / total);
  }
}

}  // namespace

MassProfile profile_of(const CapturedLayer& layer) {
  const std::int64_t ctx = layer.ctx();
  const int dim = layer.head_dim;
  const int group = layer.q_heads / layer.kv_heads;
  std::vector<MassProfile> profiles;
  std::vector<float> k(static_cast<std::size_t>(ctx * dim));  // of one head
  for (int head = 0; head < layer.kv_heads; ++head) {
    for (std::int64_t t = 0; t < ctx; ++t) {
      const half_t* row = layer.k.data() + (t * layer.kv_heads + head) * dim;
      ggml_fp16_to_fp32_row(reinterpret_cast<const ggml_fp16_t*>(row), k.data() + t * dim, dim);
    }
    UnitMasses unit;
    for (std::int64_t step = 0; step < layer.steps(); ++step) {
      const std::int64_t tokens = ctx - layer.steps() + step + 1;
      const auto blocks = static_cast<std::size_t>((tokens + kBlockTokens - 1) / kBlockTokens);
      std::vector<double>& mean = unit.mean.emplace_back(blocks);
      std::vector<double>& largest = unit.largest.emplace_back(blocks);
      for (int row = head * group; row < (head + 1) * group; ++row) {
        add_row(layer.q.data() + (step * layer.q_heads + row) * dim, k, tokens, group, layer, mean,
                largest);
      }
    }
    profiles.push_back(profile_of(unit));
  }
  return mean_of(profiles);
}

}  // namespace thriftattn::cli
