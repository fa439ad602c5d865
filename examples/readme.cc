// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The README's example, and a main that runs it.
#include <cstdio>

#include "thriftattn/attention.h"

using namespace thriftattn;

// One step of decoding: k and v of the new token go into the cache, its query attends to all of it.
Status decode_step(PagedKvCache& cache, SequenceId sequence, ConstTensorView q, ConstTensorView k,
                   ConstTensorView v, TensorView out) {
  if (Status status = cache.append(sequence, k, v); !status.ok()) return status;
  const std::int64_t offsets[] = {0, q.tokens};
  AttendParams params;
  params.q = q;
  params.out = out;
  params.sequences = {&sequence, 1};
  params.q_offsets = offsets;
  return attend(params, cache);  // by default 5 % of the blocks are promoted
}

int main() {
  constexpr int kQHeads = 8, kKvHeads = 2, kHeadDim = 64;
  auto cache = PagedKvCache::create({.kv_heads = kKvHeads, .head_dim = kHeadDim, .pages = 4});
  if (!cache.ok()) return std::puts(cache.status().message().c_str()), 1;
  const auto sequence = cache.value().add_sequence();
  if (!sequence.ok()) return std::puts(sequence.status().message().c_str()), 1;

  const float q[kQHeads * kHeadDim] = {}, k[kKvHeads * kHeadDim] = {};
  float v[kKvHeads * kHeadDim], out[kQHeads * kHeadDim];
  for (float& x : v) x = 0.5f;
  const auto view = [&](const float* data, int heads) {
    return ConstTensorView::packed(data, DType::kF32, 1, heads, kHeadDim);
  };
  const Status status =
      decode_step(cache.value(), sequence.value(), view(q, kQHeads), view(k, kKvHeads),
                  view(v, kKvHeads), TensorView::packed(out, DType::kF32, 1, kQHeads, kHeadDim));
  if (!status.ok()) return std::puts(status.message().c_str()), 1;
  std::printf("one token sees its own v: %g\n", out[0]);
  return out[0] == 0.5f ? 0 : 1;
}
