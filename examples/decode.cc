// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Decode: one query token over 8192 cached tokens, in FP4 with promoted blocks and wholly in 16
// bit.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "thriftattn/attention.h"

namespace {

using namespace thriftattn;

constexpr int kQHeads = 8, kKvHeads = 2, kHeadDim = 64;
constexpr std::int64_t kTokens = 8192;

std::vector<float> noise(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) value = normal(generator);
  return x;
}

// A query that looks like some earlier key finds that key again: attention with a few heavy blocks.
std::vector<float> needle_query(const std::vector<float>& k) {
  std::vector<float> q = noise(kQHeads * kHeadDim, 3);
  for (int head = 0; head < kQHeads; ++head) {
    const std::int64_t token = 1000 * head + 77;
    const float* key = &k[(token * kKvHeads + head * kKvHeads / kQHeads) * kHeadDim];
    for (int d = 0; d < kHeadDim; ++d) q[head * kHeadDim + d] = 1.4f * key[d];
  }
  return q;
}

Status attend_one(const PagedKvCache& cache, SequenceId sequence, const std::vector<float>& q,
                  const Selection& selection, AttendReport* report, std::vector<float>* out) {
  const std::int64_t offsets[] = {0, 1};
  AttendParams params;
  params.q = ConstTensorView::packed(q.data(), DType::kF32, 1, kQHeads, kHeadDim);
  params.out = TensorView::packed(out->data(), DType::kF32, 1, kQHeads, kHeadDim);
  params.sequences = {&sequence, 1};
  params.q_offsets = offsets;
  params.options.selection = selection;
  params.report = report;
  return attend(params, cache);
}

}  // namespace

int main() {
  auto cache = PagedKvCache::create(
      {.kv_heads = kKvHeads, .head_dim = kHeadDim, .pages = kTokens / kBlockTokens});
  if (!cache.ok()) return std::puts(cache.status().message().c_str()), 1;
  const SequenceId sequence = cache.value().add_sequence().value();
  const auto k = noise(kTokens * kKvHeads * kHeadDim, 1);
  const auto v = noise(kTokens * kKvHeads * kHeadDim, 2);
  Status status = cache.value().append(
      sequence, ConstTensorView::packed(k.data(), DType::kF32, kTokens, kKvHeads, kHeadDim),
      ConstTensorView::packed(v.data(), DType::kF32, kTokens, kKvHeads, kHeadDim));

  const auto q = needle_query(k);
  std::vector<float> thrift(q.size()), exact(q.size());
  AttendReport report;
  if (status.ok()) status = attend_one(cache.value(), sequence, q, {}, &report, &thrift);
  if (status.ok())
    status = attend_one(cache.value(), sequence, q, Selection::exact(), nullptr, &exact);
  if (!status.ok()) return std::puts(status.message().c_str()), 1;
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    error += std::pow(thrift[i] - exact[i], 2);
    norm += std::pow(exact[i], 2);
  }
  std::printf("relative error %.4f, promoted %.1f %%, V not read %.1f %%\n",
              std::sqrt(error / norm), 100 * report.promoted_share(), 100 * report.tail_share());
  return error > 0 && error < 0.01 * norm ? 0 : 1;
}
