// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Prefill: a prompt of 2048 tokens in chunks of 512, appended and attended to, on all CPUs.
// Chunks that are multiples of 64 give the bits of one call over the whole prompt.
#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "thriftattn/attention.h"

namespace {

using namespace thriftattn;

constexpr int kQHeads = 4, kKvHeads = 2, kHeadDim = 64;
constexpr std::int64_t kTokens = 2048;

std::vector<float> noise(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) value = normal(generator);
  return x;
}

ConstTensorView rows(const std::vector<float>& x, int heads, std::int64_t from,
                     std::int64_t tokens) {
  const float* data = x.data() + from * heads * kHeadDim;
  return ConstTensorView::packed(data, DType::kF32, tokens, heads, kHeadDim);
}

// Runs the prompt through a cache of its own, `chunk` tokens a call.
Status prefill(std::int64_t chunk, Executor* threads, AttendReport* report,
               std::vector<float>* out) {
  const auto q = noise(kTokens * kQHeads * kHeadDim, 1);
  const auto k = noise(kTokens * kKvHeads * kHeadDim, 2);
  const auto v = noise(kTokens * kKvHeads * kHeadDim, 3);
  auto cache = PagedKvCache::create(
      {.kv_heads = kKvHeads, .head_dim = kHeadDim, .pages = kTokens / kBlockTokens});
  if (!cache.ok()) return cache.status();
  const SequenceId sequence = cache.value().add_sequence().value();

  for (std::int64_t from = 0; from < kTokens; from += chunk) {
    Status status = cache.value().append(sequence, rows(k, kKvHeads, from, chunk),
                                         rows(v, kKvHeads, from, chunk));
    if (!status.ok()) return status;
    const std::int64_t offsets[] = {0, chunk};
    AttendParams params;
    params.q = rows(q, kQHeads, from, chunk);
    params.out = TensorView::packed(out->data() + from * kQHeads * kHeadDim, DType::kF32, chunk,
                                    kQHeads, kHeadDim);
    params.sequences = {&sequence, 1};
    params.q_offsets = offsets;
    params.executor = threads;
    params.report = report;
    status = attend(params, cache.value());
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

int main() {
  const auto threads = make_thread_pool(0);
  std::vector<float> chunked(kTokens * kQHeads * kHeadDim), whole(chunked.size());
  AttendReport report;
  Status status = prefill(512, threads.get(), &report, &chunked);
  if (status.ok()) status = prefill(kTokens, nullptr, nullptr, &whole);
  if (!status.ok()) return std::puts(status.message().c_str()), 1;

  const bool equal = std::ranges::equal(chunked, whole);
  std::printf("%lld tiles, promoted %.1f %%, forced %.1f %%; chunked = whole: %s\n",
              static_cast<long long>(report.units), 100 * report.promoted_share(),
              100 * report.forced_share(), equal ? "yes" : "no");
  return equal ? 0 : 1;
}
