// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The rows of a panel: q as the B operand of the MMA, and the running softmax of a warp. A lane
// keeps the state of rows 2 q and 2 q + 1.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <climits>
#include <cstdint>

#include "cuda/decode/partition.cuh"
#include "cuda/decode/tile_math.cuh"

namespace thriftattn::cuda {

inline constexpr float kNoReference = -1e30f;  // below every score, and finite
inline constexpr float kNeverExceeded = 1e30f;

// Weights are 2^(s - reference - 3) in the high tier. In the low tier they carry 2^14 for the codes
// of V and the block's V exponent: 2^(s + v_exponent - reference + 11). The reference is the first
// block's largest s + v_exponent, and moves when a weight overflows half, which shows in their sum.
inline constexpr float kWeightDownLog2 = 3.0f;

// How the scores of a block become log2 of its weights, by row: s * up + offset - reference - down.
struct Logits {
  float up[2];
  float mean[2];
  float exponent;  // V's, where the weights carry it
  float down;
};

template <class T>
struct Rows {
  using Math = TileMath<T::kHeadDim>;

  typename Math::Queries q;  // q of row g; bfloat16 times 2^-e, so that half holds its range
  float factor[2];           // scale * log2(e) * 2^e of the lane's two rows, 0 of absent ones
  float reference[2];
  float sum[2];  // of weights that met V

  // Asks for q. It comes while the first keys are asked for, and is then brought to what the MMA
  // takes by prepare().
  __device__ void load(const DecodeArgs& args, const PanelItems& items, int lane) {
    const int g = lane >> 2;
    const int row = items.first_row + min(g, items.rows - 1);
    const std::int64_t token = args.shape.q_begin[items.entry] + row / args.shape.group;
    const std::int64_t head = items.kv_head * args.shape.group + row % args.shape.group;
    const std::int64_t at = token * args.q_token_stride + head * args.q_head_stride;
    const auto* from = static_cast<const std::uint16_t*>(args.q) + at + 8 * (lane & 3);
#pragma unroll
    for (int r = 0; r < Math::kWords; ++r) {
      const uint4 words = __ldg(reinterpret_cast<const uint4*>(from + 32 * r));
      q[2 * r][0] = words.x, q[2 * r][1] = words.y;
      q[2 * r + 1][0] = words.z, q[2 * r + 1][1] = words.w;
    }
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      reference[c] = 2 * (lane & 3) + c < items.rows ? kNoReference : kNeverExceeded;
      sum[c] = -1;
    }
  }
  // Whether q is still as it comes.
  [[nodiscard]] __device__ bool is_raw() const { return sum[0] < 0; }

  __device__ void prepare(const DecodeArgs& args, const PanelItems& items, int lane) {
    sum[0] = sum[1] = 0;
    const bool present = (lane >> 2) < items.rows;
    const bool is_bf16 = args.q_type == DType::kBF16;
    const std::uint32_t largest = largest_magnitude();
    // A spoiled row is NaN throughout; an absent one is zero. Halves are taken as they are.
    const bool finite = largest < (is_bf16 ? 0x7f80u : 0x7c00u);
    const int exponent = is_bf16 && finite ? static_cast<int>(max(largest >> 7, 1u)) - 127 : 0;
    const float down = __uint_as_float(static_cast<std::uint32_t>(127 - exponent) << 23);
#pragma unroll
    for (int i = 0; i < 2 * Math::kSteps; ++i) {
      std::uint32_t& x = q[i / 2][i % 2];
      const std::uint32_t pair = is_bf16 ? half2_of_bf16(x, down) : x;
      x = !present ? 0u : finite ? pair : kNaNs;
    }
    const float up = __uint_as_float(static_cast<std::uint32_t>(127 + exponent) << 23);
    const float mine = present ? args.scale_log2 * up : 0.0f;
#pragma unroll
    for (int c = 0; c < 2; ++c) factor[c] = __shfl_sync(~0u, mine, 4 * (2 * (lane & 3) + c));
  }

  // Scores come by quarters of a block, those from `quarter` on: kQuarters of them or one.
  // Tokens of the block that a row does not see get -inf.
  template <int kCount>
  __device__ void mask(float (&s)[kCount][4], const PanelItems& items, int group, int block,
                       int quarter, int lane) const {
    int last[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int column = 2 * (lane & 3) + c;
      last[c] = column < items.rows ? items.first_position() + (items.first_row + column) / group
                                    : INT_MAX;
    }
#pragma unroll
    for (int mt = 0; mt < kCount; ++mt) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = kBlockTokens * block + token_of(2 * (quarter + mt) + e / 2, lane >> 2);
        if (token > last[e % 2]) s[mt][e] = -INFINITY;
      }
    }
  }

  // Weights of scores, two words a quarter, and their sums relative to the reference; false where a
  // sum is not finite.
  template <int kCount>
  __device__ bool weigh(const float (&s)[kCount][4], const Logits& logits,
                        std::uint32_t (&p)[(kCount + 1) / 2][4], float (&part)[2]) const {
    float base[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) base[c] = logits.mean[c] - reference[c] - logits.down;
    float total[4] = {};
#pragma unroll
    for (int mt = 0; mt < kCount; ++mt) {
      float w[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        w[e] = ptx::exp2_approx(fmaf(s[mt][e], logits.up[e % 2], base[e % 2]));
      }
      std::uint32_t(&pair)[4] = p[mt / 2];
      pair[mt % 2 * 2] = ptx::transpose8x8(ptx::pack_half2(w[0], w[1]));
      pair[mt % 2 * 2 + 1] = ptx::transpose8x8(ptx::pack_half2(w[2], w[3]));
      ptx::mma(total, kOnes, kOnes, kOnes, kOnes, pair[mt % 2 * 2], pair[mt % 2 * 2 + 1]);
    }
    const float undo = ptx::exp2_approx(logits.down);
    part[0] = total[0] * undo;
    part[1] = total[1] * undo;
    return __all_sync(~0u, fabsf(total[0]) < INFINITY && fabsf(total[1]) < INFINITY);
  }

  // Moves the references of rows whose sum `part` of these scores' weights is not finite to the
  // largest s + exponent where that is higher, to a whole number, so that factors are powers of
  // two: factor[c] is what brings sums there. False where none moved: a row is NaN.
  template <int kCount>
  __device__ bool raise(const float (&s)[kCount][4], const Logits& logits, const float (&part)[2],
                        float (&factor)[2]) {
    float top[2];
    find_top(s, logits, top);
    bool moves = false;
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const bool rises = top[c] > reference[c] && !(fabsf(part[c]) < INFINITY);  // NaN does not
      const float raised = rises ? ceilf(top[c]) : reference[c];
      moves |= rises;
      factor[c] = ptx::exp2_approx(reference[c] - raised);
      reference[c] = raised;
      sum[c] *= factor[c];
    }
    return __any_sync(~0u, moves);
  }

 private:
  static constexpr std::uint32_t kNaNs = 0x7fff7fffu;  // half2

  // Largest s + exponent of the rows, over the warp.
  template <int kCount>
  __device__ static void find_top(const float (&s)[kCount][4], const Logits& logits,
                                  float (&top)[2]) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      float largest = s[0][c];
#pragma unroll
      for (int i = 1; i < 2 * kCount; ++i) largest = fmaxf(largest, s[i / 2][i % 2 * 2 + c]);
#pragma unroll
      for (int d = 4; d < 32; d *= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
      }
      top[c] = fmaf(largest, logits.up[c], logits.mean[c]) + logits.exponent;
    }
  }

  // Largest magnitude of the row as bits, over the four lanes that hold it.
  [[nodiscard]] __device__ std::uint32_t largest_magnitude() const {
    std::uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < 2 * Math::kSteps; ++i) {
      const std::uint32_t x = q[i / 2][i % 2];
      largest = max(largest, max(x & 0x7fffu, x >> 16 & 0x7fffu));
    }
#pragma unroll
    for (int d = 1; d < 4; d *= 2) largest = max(largest, __shfl_xor_sync(~0u, largest, d));
    return largest;
  }

  // bfloat16 times a power of two that brings the row's largest to [1, 2), as half: exact but for
  // values 2^-24 times smaller than the largest.
  __device__ static std::uint32_t half2_of_bf16(std::uint32_t pair, float down) {
    return ptx::pack_half2(__uint_as_float(pair << 16) * down,
                           __uint_as_float(pair & 0xffff0000u) * down);
  }
};

}  // namespace thriftattn::cuda
