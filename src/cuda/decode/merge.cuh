// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sums of a panel: over the warps of a CTA, then over the CTAs that have a part of it, each in a
// fixed order. The CTA that arrives last merges and writes the result.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/decode/rows.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

extern __shared__ __align__(128) std::byte decode_memory[];

// Dynamic shared memory of a CTA: rings | labels | warp states | barriers | scratch. Holds nothing:
// every address follows from the size of the CTA.
template <class T>
class SharedMap {
 public:
  [[nodiscard]] __device__ std::uint32_t ring(int warp) const {
    return ptx::shared_address(decode_memory) + warp * T::kWarpBytes;
  }
  // Where a warp leaves its sums [8, kSumStride] at the end of a panel: its value ring, empty then.
  [[nodiscard]] __device__ float* sums(int warp) const {
    return reinterpret_cast<float*>(decode_memory + warp * T::kWarpBytes +
                                    T::kKeyStages * T::kKeyStageBytes);
  }
  // What the stages of a warp's key ring hold.
  [[nodiscard]] __device__ Item* labels(int warp) const {
    return reinterpret_cast<Item*>(decode_memory + warps() * T::kWarpBytes) + warp * T::kKeyStages;
  }
  // [3][8]: reference, sum, sum_used of a warp; until the panel ends the second is the tail's sum.
  [[nodiscard]] __device__ float* state(int warp) const {
    return reinterpret_cast<float*>(labels(warps())) + warp * T::kWarpStateFloats;
  }
  [[nodiscard]] __device__ std::uint32_t barriers(int warp) const {
    return ptx::shared_address(state(warps())) + warp * (T::kKeyStages + T::kValueStages) * 8;
  }
  [[nodiscard]] __device__ std::uint32_t* scratch() const {
    return reinterpret_cast<std::uint32_t*>(state(warps())) +
           warps() * (T::kKeyStages + T::kValueStages) * 2;
  }
  // [8]: log2 of the mass below which a block needs no V, by row.
  [[nodiscard]] __device__ float* limits() const {
    return reinterpret_cast<float*>(scratch() + 32);
  }
  [[nodiscard]] __device__ static int warps() { return static_cast<int>(blockDim.x) / 32; }
};

__device__ inline void store_output(const DecodeArgs& args, std::int64_t at, float value) {
  if (args.out_type == DType::kF32) {
    static_cast<float*>(args.out)[at] = value;
  } else if (args.out_type == DType::kF16) {
    static_cast<__half*>(args.out)[at] = __float2half_rn(value);
  } else {
    static_cast<__nv_bfloat16*>(args.out)[at] = __float2bfloat16_rn(value);
  }
}

// Highest reference of a row over the warps.
template <class T>
__device__ inline float top_reference(const SharedMap<T>& map, int row) {
  float reference = kNoReference;
#pragma unroll
  for (int w = 0; w < T::kMaxWarps; ++w) {
    if (w < map.warps()) reference = fmaxf(reference, map.state(w)[row]);
  }
  return reference;
}

// Of one row: sums of weights relative to 2^reference.
struct RowState {
  float reference = kNoReference;
  float sum = 0;
  float used = 0;  // of those whose V was read
};

// The CTA's state of one row: all warps' at one reference.
template <class T>
__device__ inline RowState combine_states(const SharedMap<T>& map, int row) {
  const float reference = top_reference(map, row);
  float sum = 0;
  float used = 0;
#pragma unroll
  for (int w = 0; w < T::kMaxWarps; ++w) {
    if (w >= map.warps()) break;
    const float* state = map.state(w) + row;
    const float factor = ptx::exp2_approx(state[0] - reference);
    sum = fmaf(state[kPanelRows], factor, sum);
    used = fmaf(state[2 * kPanelRows], factor, used);
  }
  return {reference, sum, used};
}

// A warp leaves its sums at the CTA's reference.
template <class T>
__device__ inline void leave_sums(const SharedMap<T>& map,
                                  const typename TileMath<T::kHeadDim>::Sums& sums) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) & 31;
  float* to = map.sums(warp);
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int row = 2 * (lane & 3) + c;
    const float factor = ptx::exp2_approx(map.state(warp)[row] - top_reference(map, row));
#pragma unroll
    for (int i = 0; i < TileMath<T::kHeadDim>::kSteps; ++i) {
      const int at = row * T::kSumStride + 16 * i + (lane >> 2);
      to[at] = sums[i][c] * factor;
      to[at + 8] = sums[i][2 + c] * factor;
    }
  }
}

// Four dims of a row, over the warps in order.
template <class T>
__device__ inline float4 add_sums(const SharedMap<T>& map, int row, int vector) {
  float4 total = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int w = 0; w < T::kMaxWarps; ++w) {
    if (w >= map.warps()) break;
    const float4 part =
        *reinterpret_cast<const float4*>(map.sums(w) + row * T::kSumStride + 4 * vector);
    total.x += part.x, total.y += part.y, total.z += part.z, total.w += part.w;
  }
  return total;
}

// Four dims of the output from their sums.
__device__ inline void write_output(const DecodeArgs& args, const PanelItems& items, int row,
                                    int vector, float4 sum, float used) {
  const int unit_row = items.first_row + row;
  const std::int64_t token = args.shape.q_begin[items.entry] + unit_row / args.shape.group;
  const std::int64_t head = items.kv_head * args.shape.group + unit_row % args.shape.group;
  const std::int64_t at = token * args.out_token_stride + head * args.out_head_stride + 4 * vector;
  const float up = 8.0f / used;  // 2^kWeightDownLog2
  store_output(args, at, sum.x * up);
  store_output(args, at + 1, sum.y * up);
  store_output(args, at + 2, sum.z * up);
  store_output(args, at + 3, sum.w * up);
}

__device__ inline void write_lse(const DecodeArgs& args, const PanelItems& items, int panel,
                                 int row, const RowState& state) {
  const float lse = state.reference + log2f(state.sum);
  args.row_lse[panel * kPanelRows + row] = lse;
  if (args.lse == nullptr) return;
  const int unit_row = items.first_row + row;
  const std::int64_t token = args.shape.q_begin[items.entry] + unit_row / args.shape.group;
  const std::int64_t head = items.kv_head * args.shape.group + unit_row % args.shape.group;
  args.lse[token * args.shape.q_heads + head] = lse * 0.693147180559945f;
}

// Merges `count` partial sums of a panel, from `first` on, in order, and writes its rows. A thread
// has four dims of a row; states and sums of several parts are on their way at once.
template <class T>
__device__ inline void merge_partials(const DecodeArgs& args, const PanelItems& items, int panel,
                                      int first, int count) {
  constexpr int kAtOnce = 8;
  constexpr int kVectors = T::kValues ? T::kHeadDim / 4 : 1;
  const auto* sums = reinterpret_cast<const float4*>(args.partials);
  for (int at = static_cast<int>(threadIdx.x); at < items.rows * kVectors;
       at += static_cast<int>(blockDim.x)) {
    const int row = at / kVectors;
    const int vector = at % kVectors;
    RowState merged;
    float4 total = make_float4(0, 0, 0, 0);
#pragma unroll 1
    for (int begin = 0; begin < count; begin += kAtOnce) {
      RowState state[kAtOnce];
      float4 part[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        part[i] = make_float4(0, 0, 0, 0);
        if (begin + i >= count) continue;
        const PartialHeader& header = args.headers[first + begin + i];
        state[i] = {__ldcg(&header.reference[row]), __ldcg(&header.sum[row]),
                    __ldcg(&header.sum_used[row])};
        if constexpr (!T::kValues) continue;
        const std::size_t from = static_cast<std::size_t>(first + begin + i) * kPanelRows + row;
        part[i] = __ldcg(sums + from * kVectors + vector);
      }
      float reference = merged.reference;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) reference = fmaxf(reference, state[i].reference);
      const float down = ptx::exp2_approx(merged.reference - reference);
      merged = {reference, merged.sum * down, merged.used * down};
      total.x *= down, total.y *= down, total.z *= down, total.w *= down;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const float factor = ptx::exp2_approx(state[i].reference - reference);
        merged.sum = fmaf(state[i].sum, factor, merged.sum);
        merged.used = fmaf(state[i].used, factor, merged.used);
        total.x = fmaf(part[i].x, factor, total.x);
        total.y = fmaf(part[i].y, factor, total.y);
        total.z = fmaf(part[i].z, factor, total.z);
        total.w = fmaf(part[i].w, factor, total.w);
      }
    }
    if (vector == 0) write_lse(args, items, panel, row, merged);
    if constexpr (T::kValues) write_output(args, items, row, vector, total, merged.used);
  }
}

// The CTA's part of a panel: written out where the CTA has all of it, else left for the last one.
template <class T>
__device__ inline void write_part(const DecodeArgs& args, const SharedMap<T>& map,
                                  const PanelItems& items, int panel, bool alone, int slot) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < items.rows) {
    const RowState state = combine_states(map, thread);
    if (alone) {
      write_lse(args, items, panel, thread, state);
    } else {
      __stcg(&args.headers[slot].reference[thread], state.reference);
      __stcg(&args.headers[slot].sum[thread], state.sum);
      __stcg(&args.headers[slot].sum_used[thread], state.used);
    }
  }
  if constexpr (!T::kValues) return;
  constexpr int kVectors = T::kHeadDim / 4;
  for (int at = thread; at < items.rows * kVectors; at += static_cast<int>(blockDim.x)) {
    const int row = at / kVectors;
    const int vector = at % kVectors;
    const float4 sum = add_sums<T>(map, row, vector);
    if (alone) {
      write_output(args, items, row, vector, sum, combine_states(map, row).used);
    } else {
      const std::size_t to = static_cast<std::size_t>(slot) * kPanelRows + row;
      __stcg(reinterpret_cast<float4*>(args.partials) + to * kVectors + vector, sum);
    }
  }
}

template <class T>
__device__ inline void merge_panel(const DecodeArgs& args, const SharedMap<T>& map,
                                   const Walk<T>& walk, const Rows<T>& rows,
                                   const typename TileMath<T::kHeadDim>::Sums& sums) {
  __shared__ bool is_last;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread & 31;
  const PanelItems& items = walk.items();
  const int panel = walk.panel();
  if (lane < 4) {
    float* state = map.state(thread / 32) + 2 * lane;
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      state[c] = 2 * lane + c < items.rows ? rows.reference[c] : kNoReference;
      state[kPanelRows + c] += rows.sum[c];  // the tail's is there already
      state[2 * kPanelRows + c] = rows.sum[c];
    }
  }
  __syncthreads();
  if constexpr (T::kValues) {
    leave_sums<T>(map, sums);
    __syncthreads();
  }
  const int first_cta = walk.first_cta();
  const int others = walk.ctas() - 1;
  write_part<T>(args, map, items, panel, others == 0, static_cast<int>(blockIdx.x) + panel);
  if (others != 0) {
    __threadfence();
    __syncthreads();
    if (thread == 0) {
      is_last = atomicAdd(args.arrivals + panel, 1u) == static_cast<std::uint32_t>(others);
      if (is_last) args.arrivals[panel] = 0;  // for the next call
    }
    __syncthreads();
    if (is_last) {
      __threadfence();
      merge_partials<T>(args, items, panel, first_cta + panel, others + 1);
    }
  }
  // The next panel's V comes by the copy engine to where the sums were.
  ptx::fence_async_proxy();
  __syncthreads();
}

}  // namespace thriftattn::cuda
