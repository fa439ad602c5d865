// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include "cuda/synthetic.h"

namespace thriftattn::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kBlock = 64;
constexpr float kSpread = 1.8f;  // of the logs of block masses
constexpr float kNoise = 0.6f;   // of logits inside a block

__device__ std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
__device__ float uniform(std::uint64_t x) {
  return (static_cast<float>(mix(x) >> 40) + 0.5f) * 0x1p-24f;
}
__device__ float normal(std::uint64_t x) {
  return sqrtf(-2.0f * logf(uniform(2 * x))) * cosf(6.2831853f * uniform(2 * x + 1));
}
// Entry d of direction `which` of a kv head: +-1 / sqrt(head_dim).
__device__ float direction(int which, int kv_head, int d, int head_dim) {
  const bool minus = mix(which * 1000003ull + kv_head * 8191ull + d) & 1;
  return (minus ? -1.0f : 1.0f) * rsqrtf(static_cast<float>(head_dim));
}

struct Rows {
  SyntheticShape shape;
  std::uint64_t sequence;
  std::int64_t first;
  std::int64_t count;  // values
  __half* k;
  __half* v;
};

__global__ void rows_kernel(Rows rows) {
  const SyntheticShape& s = rows.shape;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < rows.count; i += stride) {
    const int d = static_cast<int>(i % s.head_dim);
    const int head = static_cast<int>(i / s.head_dim % s.kv_heads);
    const std::int64_t token = rows.first + i / (s.head_dim * s.kv_heads);
    const std::uint64_t cell = (rows.sequence * s.kv_heads + head) << 40;
    const std::uint64_t block = cell + static_cast<std::uint64_t>(token / kBlock);
    float key = kNoise * normal(cell + (1ull << 39) + token * s.head_dim + d);
    key += kSpread * (normal(block * 4 + 1) * direction(1, head, d, s.head_dim) +
                      normal(block * 4 + 2) * direction(2, head, d, s.head_dim));
    // As much mass as all others have together: n e^{(spread^2 + noise^2) / 2}.
    if (token == 0)
      key = (logf(static_cast<float>(s.kv_len)) + 1.8f) * direction(3, head, d, s.head_dim);
    rows.k[i] = __float2half(key);
    rows.v[i] = __float2half((token == 0 ? 0.02f : 1.0f) *
                             normal(cell + (3ull << 38) + token * s.head_dim + d));
  }
}

struct Queries {
  SyntheticShape shape;
  std::uint64_t step;
  std::int64_t count;
  float along, across;
  __half* q;
};

__global__ void queries_kernel(Queries queries) {
  const SyntheticShape& s = queries.shape;
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i >= queries.count) return;
  const int d = static_cast<int>(i % s.head_dim);
  const int head = static_cast<int>(i / s.head_dim % s.q_heads) / (s.q_heads / s.kv_heads);
  const float root = sqrtf(static_cast<float>(s.head_dim));
  // The softmax scale takes one root away again; a direction has length 1.
  const float value = root * (queries.along * direction(1, head, d, s.head_dim) +
                              queries.across * direction(2, head, d, s.head_dim) +
                              direction(3, head, d, s.head_dim)) +
                      0.2f * normal((7ull << 50) + queries.step * queries.count + i);
  queries.q[i] = __float2half(value);
}

}  // namespace

void make_rows(const SyntheticShape& shape, std::uint64_t sequence, std::int64_t first,
               std::int64_t tokens, void* k, void* v, cudaStream_t stream) {
  const Rows rows{shape,
                  sequence,
                  first,
                  tokens * shape.kv_heads * shape.head_dim,
                  static_cast<__half*>(k),
                  static_cast<__half*>(v)};
  rows_kernel<<<2048, kThreads, 0, stream>>>(rows);
}

void make_queries(const SyntheticShape& shape, int batch, std::uint64_t step, float angle, void* q,
                  cudaStream_t stream) {
  const std::int64_t count = std::int64_t{batch} * shape.q_heads * shape.head_dim;
  const Queries queries{shape, step, count, cosf(angle), sinf(angle), static_cast<__half*>(q)};
  queries_kernel<<<static_cast<unsigned>((count + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      queries);
}

}  // namespace thriftattn::bench
