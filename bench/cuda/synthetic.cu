// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>

#include "cuda/synthetic.h"

namespace thriftattn::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kBlock = 64;
constexpr int kMaxGroup = 16;

// Directions of keys and queries. Those of kSteps steps follow the last.
enum Direction { kSink, kOwn, kLight, kFixed, kStep };

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
// Entry d of a direction: rows of a Hadamard matrix with the signs of a kv head, so they have
// length 1 and are orthogonal.
__device__ float direction(int which, int kv_head, int d, int head_dim) {
  const bool minus = ((__popc((which + 1) & d) ^ mix(kv_head * 8191ull + d)) & 1) != 0;
  return (minus ? -1.0f : 1.0f) * rsqrtf(static_cast<float>(head_dim));
}

struct Rows {
  DataShape shape;
  SyntheticProfile profile;
  std::uint64_t sequence;
  std::int64_t first;
  std::int64_t count;  // values
  __half* k;
  __half* v;
};

// What a key has along the directions; `cell` names its block.
__device__ float directed(const Rows& rows, std::uint64_t cell, int head, int d) {
  const int dim = rows.shape.head_dim;
  const std::uint64_t salt = 1ull << 62;  // apart from what the tokens draw
  float value = normal(salt + cell * 16) * direction(kFixed, head, d, dim);
  for (int step = 0; step < kSteps; ++step) {
    value += normal(salt + cell * 16 + 1 + step) * direction(kStep + step, head, d, dim);
  }
  value *= rows.profile.deviation;
  if (uniform(2 * salt + cell * 32 + 31) >= rows.profile.heavy_share)
    value -= rows.profile.light_gap * direction(kLight, head, d, dim);
  return value;
}

__global__ void rows_kernel(Rows rows) {
  const DataShape& s = rows.shape;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t own = (s.kv_len - 1) / kBlock;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < rows.count; i += stride) {
    const int d = static_cast<int>(i % s.head_dim);
    const int head = static_cast<int>(i / s.head_dim % s.kv_heads);
    const std::int64_t token = rows.first + i / (s.head_dim * s.kv_heads);
    const std::int64_t block = token / kBlock;
    const std::uint64_t cell = (rows.sequence * s.kv_heads + head) << 40;
    const float noise = kKeyNoise * normal(cell + (1ull << 39) + token * s.head_dim + d);
    float key = noise;
    if (token == 0) {
      key = kRowKey * direction(kSink, head, d, s.head_dim);
    } else if (block == own) {
      key += kRowKey * direction(kOwn, head, d, s.head_dim);
    } else if (block > 0) {
      key += directed(rows, (cell >> 8) + block, head, d);
    }
    rows.k[i] = __float2half(key);
    rows.v[i] = __float2half((token == 0 ? 0.02f : 1.0f) *
                             normal(cell + (3ull << 38) + token * s.head_dim + d));
  }
}

struct Queries {
  DataShape shape;
  int step;
  std::int64_t count;
  StepMix mix;
  RowWeights rows[kMaxGroup];
  __half* q;
};

__global__ void queries_kernel(Queries queries) {
  const DataShape& s = queries.shape;
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i >= queries.count) return;
  const int d = static_cast<int>(i % s.head_dim);
  const int q_head = static_cast<int>(i / s.head_dim % s.q_heads);
  const int group = s.q_heads / s.kv_heads, head = q_head / group;
  const RowWeights& row = queries.rows[min(q_head % group, kMaxGroup - 1)];
  const float others = direction(kLight, head, d, s.head_dim) +
                       queries.mix.fixed * direction(kFixed, head, d, s.head_dim) +
                       queries.mix.step * direction(kStep + queries.step, head, d, s.head_dim);
  const float value = row.sink * direction(kSink, head, d, s.head_dim) +
                      row.own * direction(kOwn, head, d, s.head_dim) + row.scale * others;
  // The softmax scale takes one root away again; a direction has length 1. The noise is the same in
  // every step, which therefore differ by their turnover only.
  queries.q[i] =
      __float2half(sqrtf(static_cast<float>(s.head_dim)) * value + 0.2f * normal((7ull << 50) + i));
}

struct BlockSums {
  DataShape shape;
  const __half* k;
  const __half* q;
  std::int64_t tokens, first_block, blocks;
  float* sums;
};

// Grid (blocks of k, q heads); a thread for each token.
__global__ void block_sums_kernel(BlockSums p) {
  __shared__ float logits[kBlock];
  const DataShape& s = p.shape;
  const int q_head = static_cast<int>(blockIdx.y), head = q_head / (s.q_heads / s.kv_heads);
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  float sum = -INFINITY;
  if (token < p.tokens) {
    const __half* k = p.k + (token * s.kv_heads + head) * s.head_dim;
    const __half* q = p.q + static_cast<std::int64_t>(q_head) * s.head_dim;
    sum = 0;
    for (int d = 0; d < s.head_dim; ++d) sum += __half2float(k[d]) * __half2float(q[d]);
    sum *= s.softmax_scale > 0 ? s.softmax_scale : rsqrtf(static_cast<float>(s.head_dim));
  }
  logits[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float largest = -INFINITY, total = 0;
  for (const float logit : logits) largest = fmaxf(largest, logit);
  for (const float logit : logits) total += expf(logit - largest);
  p.sums[q_head * p.blocks + p.first_block + blockIdx.x] = largest + logf(total);
}

}  // namespace

void make_rows(const DataShape& shape, const SyntheticProfile& profile, std::uint64_t sequence,
               std::int64_t first, std::int64_t tokens, void* k, void* v, cudaStream_t stream) {
  const Rows rows{shape,
                  profile,
                  sequence,
                  first,
                  tokens * shape.kv_heads * shape.head_dim,
                  static_cast<__half*>(k),
                  static_cast<__half*>(v)};
  rows_kernel<<<2048, kThreads, 0, stream>>>(rows);
}

void make_queries(const DataShape& shape, const SyntheticProfile& profile, int batch, int step,
                  void* q, cudaStream_t stream) {
  Queries queries{};
  queries.shape = shape;
  queries.step = step;
  queries.count = std::int64_t{batch} * shape.q_heads * shape.head_dim;
  queries.mix = mix_for_turnover(profile);
  if (queries.mix.fixed < 0 && step % 2 == 0) queries.mix.fixed = -queries.mix.fixed;
  const int group = shape.q_heads / shape.kv_heads;
  for (int row = 0; row < std::min(group, kMaxGroup); ++row) {
    queries.rows[row] = row_weights(profile, shape.kv_len, row, group);
  }
  queries.q = static_cast<__half*>(q);
  const auto grid = static_cast<unsigned>((queries.count + kThreads - 1) / kThreads);
  queries_kernel<<<grid, kThreads, 0, stream>>>(queries);
}

void add_block_sums(const DataShape& shape, const void* k, std::int64_t first_block,
                    std::int64_t tokens, const void* q, std::int64_t blocks, float* sums,
                    cudaStream_t stream) {
  const BlockSums p{shape,
                    static_cast<const __half*>(k),
                    static_cast<const __half*>(q),
                    tokens,
                    first_block,
                    blocks,
                    sums};
  const dim3 grid(static_cast<unsigned>((tokens + kBlock - 1) / kBlock),
                  static_cast<unsigned>(shape.q_heads));
  block_sums_kernel<<<grid, kBlock, 0, stream>>>(p);
}

}  // namespace thriftattn::bench
