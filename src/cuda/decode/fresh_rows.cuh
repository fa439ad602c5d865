// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a call's own token adds to the rows of a unit: one more key with its weight, to what attend
// left without it.
#pragma once

#include <cstdint>

#include "cuda/cache/row_pair.cuh"
#include "cuda/decode/output.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// Where the token goes.
struct FreshPlace {
  int entry;
  int sequence;
  int kv_head;
  int token;   // row of the call's k and v
  int length;  // of the sequence, before

  static __device__ FreshPlace of(const FreshArgs& args, int entry, int kv_head) {
    const int sequence = args.shape.sequence[entry];
    return {entry, sequence, kv_head, args.shape.q_begin[entry],
            __ldcg(args.cache.lengths + sequence)};
  }
  [[nodiscard]] __device__ int block() const { return length / kBlockTokens; }
  [[nodiscard]] __device__ int slot() const { return length % kBlockTokens; }
  [[nodiscard]] __device__ bool begins_block() const { return slot() == 0; }
  [[nodiscard]] __device__ bool fills_block() const { return slot() == kBlockTokens - 1; }
  // A block that has tokens has a page.
  [[nodiscard]] __device__ bool has_room(const FreshArgs& args) const {
    return !begins_block() || args.new_page[entry].has_room(args.cache, sequence, block());
  }
  // Of the sequence, with the one that has room.
  [[nodiscard]] __device__ int tokens(const FreshArgs& args) const {
    return length + (has_room(args) ? 1 : 0);
  }
  // Only where there is room.
  [[nodiscard]] __device__ int page(const FreshArgs& args) const {
    return args.new_page[entry].page_of(args.cache, sequence, block());
  }
  // Of the block's rows of K, and of V.
  [[nodiscard]] __device__ std::size_t rows_at(const FreshArgs& args, int head) const {
    return args.cache.rows_cell(sequence, page(args), head) *
           static_cast<std::size_t>(DeviceTileLayout{args.cache.head_dim}.high_bytes());
  }
};

// Threads that score the token, and as many that store it: counted from the CTA's last, which have
// the fewest blocks and rows.
inline constexpr int kRowThreads = 128;
inline constexpr int kRowWarps = kRowThreads / 32;

[[nodiscard]] __device__ inline int thread_from_end() {
  return static_cast<int>(blockDim.x - 1 - threadIdx.x);
}
[[nodiscard]] __device__ inline bool is_last_thread() { return thread_from_end() == 0; }
[[nodiscard]] __device__ inline bool is_last_warp() { return thread_from_end() < 32; }

// log2 of the weight of the unit's token in each row. The last kRowThreads call it, a warp a row.
__device__ inline void score_fresh(const FreshArgs& args, const CallUnit& unit, float* score) {
  constexpr int kPairs = kMaxHeadDim / 64;  // of a lane
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int token = args.shape.q_begin[unit.entry];
  const int head_dim = args.cache.head_dim;
  std::uint32_t k[kPairs] = {};
#pragma unroll
  for (int j = 0; j < kPairs; ++j) {
    const int dim = 64 * j + 2 * lane;
    if (dim < head_dim) k[j] = RowPair::load(args.k, token, unit.kv_head, dim);
  }
#pragma unroll 1
  for (int row = thread_from_end() / 32; row < unit.rows; row += kRowWarps) {
    const std::int64_t at = token * args.rows.q_token_stride +
                            (unit.kv_head * args.shape.group + row) * args.rows.q_head_stride;
    const auto* q = static_cast<const std::uint16_t*>(args.rows.q) + at + 2 * lane;
    std::uint32_t pairs[kPairs] = {};
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      const bool exists = 64 * j < head_dim;
      if (exists) pairs[j] = *reinterpret_cast<const std::uint32_t*>(q + 64 * j);
    }
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      float2 x = __half22float2(ptx::as_half2(pairs[j]));
      if (args.rows.q_type == DType::kBF16) {
        x = {__uint_as_float(pairs[j] << 16), __uint_as_float(pairs[j] & 0xffff0000u)};
      }
      const float2 y = RowPair::values(k[j]);
      sum = fmaf(x.x, y.x, fmaf(x.y, y.y, sum));
    }
#pragma unroll
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
    if (lane == 0) score[row] = sum * args.rows.scale_log2;
  }
}

// log2 of the sum of two weights, of which the first may be 0.
__device__ inline float add_log2(float a, float b) {
  const float top = fmaxf(a, b);
  return top + ptx::log2_approx(ptx::exp2_approx(a - top) + ptx::exp2_approx(b - top));
}

// What a thread adds the token to: two dims of a row or, behind all of these, a row's state. What
// it can know before attend ends is worked out at once.
class FreshItem {
 public:
  [[nodiscard]] __device__ static int count(const FreshArgs& args, const CallUnit& unit) {
    return unit.rows * (args.cache.head_dim / 2 + 1);
  }

  __device__ FreshItem(const FreshArgs& args, const CallUnit& unit, const FreshPlace& place, int i)
      : has_room_(place.has_room(args)), begins_block_(place.begins_block()) {
    const int head_dim = args.cache.head_dim;
    const int shift = 30 - __clz(head_dim);
    is_state_ = i >> shift >= unit.rows;
    row_ = is_state_ ? i - (unit.rows << shift) : i >> shift;
    const int dim = is_state_ ? 0 : 2 * i & (head_dim - 1);
    const std::int64_t head = unit.kv_head * args.shape.group + row_;
    row_of_panels_ = unit.first_panel * kPanelRows + row_;
    row_of_call_ = place.token * args.shape.q_heads + static_cast<int>(head);
    out_at_ = place.token * args.rows.out_token_stride + head * args.rows.out_head_stride + dim;
    from_ = args.out + std::int64_t{row_of_call_} * head_dim + dim;
    cell_ = static_cast<std::size_t>(row_of_panels_ / kPanelRows) * args.cache.max_blocks +
            min(place.block(), args.cache.max_blocks - 1);  // beyond it there is no room
    v_ = RowPair::values(RowPair::load(args.v, place.token, unit.kv_head, dim));
  }

  // From what attend left, behind its end. score: of the unit's rows; nullptr: nobody needs it yet.
  __device__ void add(const FreshArgs& args, const float* score) {
    const float mine = score != nullptr ? score[row_] : 0;
    out_ = __ldcg(reinterpret_cast<const float2*>(from_));
    lse_ = __ldcg(args.row_lse + row_of_panels_);
    const float used = args.row_used == nullptr ? 1.0f : __ldcg(args.row_used + row_of_panels_);
    mass_ = is_state_ ? __ldcg(mass_of(args)) : 0;
    if (!has_room_) return;
    const float top = fmaxf(lse_, mine);
    const float others = ptx::exp2_approx(lse_ - top);
    const float weight = ptx::exp2_approx(mine - top);
    lse_ = top + ptx::log2_approx(others + weight);
    mass_ = begins_block_ ? mine : add_log2(mass_, mine);
    // A weight of 0 stands for no value, not for 0 times it: there may be none.
    const float before = others == 0 ? 0 : others * used;
    const float factor = __fdividef(1.0f, before + weight);
    out_.x = fmaf(v_.x, weight, before == 0 ? 0 : out_.x * before) * factor;
    out_.y = fmaf(v_.y, weight, before == 0 ? 0 : out_.y * before) * factor;
  }

  __device__ void write(const FreshArgs& args) const {
    if (!is_state_) {
      store_outputs(args.rows, out_at_, 1, out_.x, out_.y);
      return;
    }
    if (args.rows.lse != nullptr) args.rows.lse[row_of_call_] = lse_ * kLn2;
    args.new_row_lse[row_of_panels_] = lse_;
    if (!has_room_) return;
    *mass_of(args) = mass_;
    if (row_of_panels_ % kPanelRows == 0) args.fates[cell_] = kFateVisible | kFateForced;
  }

 private:
  [[nodiscard]] __device__ float* mass_of(const FreshArgs& args) const {
    return args.masses + cell_ * kPanelRows + row_of_panels_ % kPanelRows;
  }

  bool has_room_;  // else all stays as it is
  bool begins_block_;
  bool is_state_;
  int row_;  // of the unit
  int row_of_panels_;
  int row_of_call_;
  std::int64_t out_at_;
  std::size_t cell_;  // of the row's panel and the token's block
  const float* from_;
  float2 v_;
  float2 out_;
  float lse_;   // log2
  float mass_;  // log2, of the block
};

}  // namespace thriftattn::cuda
