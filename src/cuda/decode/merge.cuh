// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Sums of a panel: over the warps of a CTA, then over the CTAs that have a part of it, where these
// are many by groups, each in a fixed order. The CTA that arrives last merges.
#pragma once

#include <cstdint>

#include "cuda/decode/output.cuh"
#include "cuda/decode/rows.cuh"
#include "cuda/decode/shared_map.cuh"
#include "cuda/decode/traits.cuh"
#include "cuda/decode/walk.cuh"

namespace thriftattn::cuda {

// Of one row: sums of weights relative to 2^reference.
struct RowState {
  float reference = kNoReference;
  float sum = 0;
  float used = 0;  // of those whose V was read
};

// Memory of sums: of CTAs, of groups of them, and of pieces whose warp has more to go.
template <class T>
__device__ inline float4* partial_sums(const DecodeArgs& args, int slot) {
  return reinterpret_cast<float4*>(args.partials) +
         static_cast<std::size_t>(slot) * (T::kHeadDim / 16 * 32);
}
template <class T>
__device__ inline float4* piece_sums(const DecodeArgs& args, int piece) {
  return partial_sums<T>(
      args, args.slots.first_piece + static_cast<int>(blockIdx.x) * kMaxPieces + piece);
}

// A warp leaves what it has of a panel; `goes_on`: it has more of them.
template <class T>
__device__ inline void leave_piece(const DecodeArgs& args, const SharedMap<T>& map, int piece,
                                   bool goes_on, const PanelItems& items, const Rows<T>& rows,
                                   const typename TileMath<T::kHeadDim>::Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  if (lane < 4) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int row = 2 * lane + c;
      const States state = map.states(piece);
      state.reference(0)[row] = row < items.rows ? rows.reference[c] : kNoReference;
      state.sum(0)[row] =
          (T::kCutsTail ? state.sum(0)[row] : 0) + rows.sum[c];  // the tail's is there
      state.used(0)[row] = rows.sum[c];
    }
  }
  if constexpr (!T::kValues) return;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  float4* to = (goes_on ? piece_sums<T>(args, piece) : map.sums(warp)) + lane;
#pragma unroll
  for (int i = 0; i < TileMath<T::kHeadDim>::kSteps; ++i) {
    to[32 * i] = make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
  }
}

// Where a row of a panel lies in a tensor of the call. The quotient is exact: both are small.
__device__ __forceinline__ std::int64_t row_offset(const DecodeArgs& args, const PanelItems& items,
                                                   int row, std::int64_t token_stride,
                                                   std::int64_t head_stride) {
  static_assert(kMaxUnitRows <= 512);
  const int unit_row = items.first_row + row;
  const int token = static_cast<int>(
      __fdividef(static_cast<float>(unit_row) + 0.5f, static_cast<float>(args.shape.group)));
  const int head = items.kv_head * args.shape.group + unit_row - token * args.shape.group;
  return (args.shape.q_begin[items.entry] + token) * token_stride + head * head_stride;
}

// Where the two rows of a lane lie in the output. Absent ones are left out.
class OutputRows {
 public:
  __device__ OutputRows(const DecodeArgs& args, const PanelItems& items, int at)
      : args_(args), present_(items.rows - 2 * (at & 3)) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      to_[c] =
          row_offset(args, items, 2 * (at & 3) + c, args.out_token_stride, args.out_head_stride) +
          at / 32 * 16 + at % 32 / 4;
    }
  }
  // A lane's step, from its sums and what the rows' sums are to be multiplied by.
  __device__ void write(const float4& sum, float even, float odd) const {
    if (present_ > 0) store_outputs(args_, to_[0], 8, sum.x * even, sum.z * even);
    if (present_ > 1) store_outputs(args_, to_[1], 8, sum.y * odd, sum.w * odd);
  }

 private:
  const DecodeArgs& args_;
  int present_;
  std::int64_t to_[2];
};
// From the sum of the weights that met V.
__device__ inline float output_factor(float used) {
  return __fdividef(8.0f, used);  // 2^kWeightDownLog2
}

__device__ inline void write_lse(const DecodeArgs& args, const PanelItems& items, int panel,
                                 int row, const RowState& state) {
  if (row >= items.rows) return;
  const float lse = state.reference + log2f(state.sum);
  args.row_lse[panel * kPanelRows + row] = lse;
  if (args.row_used != nullptr) {
    args.row_used[panel * kPanelRows + row] = __fdividef(state.used, state.sum);
  }
  if (args.lse == nullptr) return;
  args.lse[row_offset(args, items, row, args.shape.q_heads, 1)] = lse * kLn2;
}

// The factor of a part's row.
__device__ inline void find_factor(const States& states, int count, int part, int row) {
  float top = kNoReference;
#pragma unroll 4
  for (int i = 0; i < count; ++i) top = fmaxf(top, states.reference(i)[row]);
  states.factor(part)[row] = ptx::exp2_approx(states.reference(part)[row] - top);
}

// All parts' states of a row; behind find_factor().
__device__ inline RowState add_states(const States& states, int count, int row) {
  RowState all;
#pragma unroll 4
  for (int i = 0; i < count; ++i) {
    const float factor = states.factor(i)[row];
    all.reference = fmaxf(all.reference, states.reference(i)[row]);
    all.sum = fmaf(states.sum(i)[row], factor, all.sum);
    all.used = fmaf(states.used(i)[row], factor, all.used);
  }
  return all;
}

// A lane's step of all parts, at the panel's reference, and the weights behind its two rows.
struct StepSum {
  float4 sums = {0, 0, 0, 0};
  float2 used = {0, 0};

  __device__ void add(const float4& part, const States& states, int i, int at) {
    const int row = 2 * (at & 3);
    add(part, *reinterpret_cast<const float2*>(states.factor(i) + row),
        *reinterpret_cast<const float2*>(states.used(i) + row));
  }
  __device__ void add(const float4& part, const float2& factor, const float2& weights) {
    sums.x = fmaf(part.x, factor.x, sums.x);
    sums.y = fmaf(part.y, factor.y, sums.y);
    sums.z = fmaf(part.z, factor.x, sums.z);
    sums.w = fmaf(part.w, factor.y, sums.w);
    used.x = fmaf(weights.x, factor.x, used.x);
    used.y = fmaf(weights.y, factor.y, used.y);
  }
  __device__ void scale(const float2& factor) {
    sums = {sums.x * factor.x, sums.y * factor.y, sums.z * factor.x, sums.w * factor.y};
    used = {used.x * factor.x, used.y * factor.y};
  }
  __device__ void write(const DecodeArgs& args, const PanelItems& items, int at) const {
    OutputRows(args, items, at).write(sums, output_factor(used.x), output_factor(used.y));
  }
};

// The end of a window: what the warps of the CTA have of its panels, and then what the CTAs have.
template <class T>
class Merge {
 public:
  static constexpr int kElements = T::kHeadDim / 16 * 32;  // of a panel's sums: a lane's steps

  __device__ Merge(const DecodeArgs& args, Share& share)
      : args_(args),
        share_(share),
        thread_(ptx::thread_index()),
        threads_(ptx::thread_count()),
        map_(threads_) {}

  // All threads call it.
  __device__ void run() const {
    __syncthreads();
    // Nothing is left but to merge: the next kernel may take the SMs that are free.
    if (share_.is_last_window()) ptx::launch_next_kernel();
    for (int i = thread_; i < share_.panels * kMaxCtaWarps * kPanelRows; i += threads_) {
      const int slot = i / (kMaxCtaWarps * kPanelRows);
      const int part = i / kPanelRows % kMaxCtaWarps;
      if (part < parts_of(slot)) {
        find_factor(states_of(slot), parts_of(slot), part, i % kPanelRows);
      }
    }
    __syncthreads();
    write_states();
    if constexpr (T::kValues) {
#pragma unroll 1
      for (int i = thread_; i < share_.panels * kElements; i += threads_) {
        write_sums(i / kElements, i % kElements);
      }
    }
    __syncthreads();
    merge_ctas();
  }

 private:
  // States are left to the threads that have no sums, if there are any.
  [[nodiscard]] __device__ int from_the_end() const { return threads_ - 1 - thread_; }

  // Pieces of window[slot], from its first warp's on.
  [[nodiscard]] __device__ int parts_of(int slot) const {
    return share_.window[slot].last_warp - share_.window[slot].first_warp + 1;
  }
  [[nodiscard]] __device__ States states_of(int slot) const {
    return map_.states(share_.window[slot].first_warp + slot);
  }
  [[nodiscard]] __device__ static int cta_slot(const WalkPanel& panel) {
    return static_cast<int>(blockIdx.x) + panel.place.panel;
  }

  // Of all rows, by whole warps.
  __device__ void write_states() const {
    for (int i = from_the_end(); i / 32 * 32 < share_.panels * kPanelRows; i += threads_) {
      const bool exists = i < share_.panels * kPanelRows;
      if (exists) write_state(i / kPanelRows, i % kPanelRows);
      if (args_.ready == nullptr) continue;
      __syncwarp();
      if (exists && i % kPanelRows == 0) say_ready(share_.window[i / kPanelRows].place);
    }
  }
  // The CTA's state of a row: to memory where other CTAs have a part too, else to the result.
  __device__ void write_state(int slot, int row) const {
    const WalkPanel& panel = share_.window[slot];
    const RowState all = add_states(states_of(slot), parts_of(slot), row);
    if (panel.place.ctas == 1) {
      write_lse(args_, panel.items, panel.place.panel, row, all);
    } else {
      write_header(cta_slot(panel), row, all);
    }
  }
  // Behind the states of the CTA's rows: the last one of all CTAs says it of the panel.
  __device__ void say_ready(const PanelPlace& place) const {
    std::uint32_t* word = args_.ready + place.panel;
    if (ptx::arrive(word) + 1 != static_cast<std::uint32_t>(place.ctas)) return;
    const PanelReady ready =
        place.ctas == 1 ? PanelReady() : PanelReady(place.first_cta + place.panel, place.ctas);
    ptx::store_release(word, ready.word());
  }
  __device__ void write_header(int slot, int row, const RowState& all) const {
    PartialHeader& header = args_.headers[slot];
    __stcg(&header.reference[row], all.reference);
    __stcg(&header.sum[row], all.sum);
    __stcg(&header.sum_used[row], all.used);
  }

  __device__ void write_sums(int slot, int at) const {
    const WalkPanel& panel = share_.window[slot];
    const States states = states_of(slot);
    StepSum total;
    const int in_ring = parts_of(slot) - (panel.goes_on ? 1 : 0);
#pragma unroll 4
    for (int i = 0; i < in_ring; ++i) {
      total.add(map_.sums(panel.first_warp + i)[at], states, i, at);
    }
    if (panel.goes_on) {
      total.add(piece_sums<T>(args_, panel.last_warp + slot)[at], states, in_ring, at);
    }
    if (panel.place.ctas == 1) {
      total.write(args_, panel.items, at);
    } else {
      __stcg(partial_sums<T>(args_, cta_slot(panel)) + at, total.sums);
    }
  }

  // Panels of which other CTAs have a part: the first and the last at most. What this CTA has of
  // them is written; it merges those for which it comes last.
  __device__ void merge_ctas() const {
    const int candidates = share_.panels > 1 ? 2 : 1;
    bool is_last = false;
    if (thread_ < candidates && candidate(thread_).place.ctas > 1) {
      const PanelPlace& place = candidate(thread_).place;
      is_last = is_last_of(place, place.ctas > kManyCtas ? group_of_mine(place) : all_of(place));
    }
#pragma unroll 1
    for (int i = 0; i < candidates; ++i) {
      if (__syncthreads_or(thread_ == i && is_last) == 0) continue;
      const PanelPlace& place = candidate(i).place;
      if (place.ctas > kManyCtas) {
        merge_groups(args_, share_, i);
      } else {
        merge_parts<false>(candidate(i), all_of(place));
      }
    }
  }
  [[nodiscard]] __device__ WalkPanel& candidate(int i) const {
    return share_.window[i == 0 ? 0 : share_.panels - 1];
  }

  // What is added up at a time: the slots of all CTAs that have a part of a panel. Where they are
  // many, groups of neighbours are, and then the groups.
  struct Parts {
    int first;
    int count;
    int to;  // slot of a group's sum; -1: the result
  };
  [[nodiscard]] __device__ static Parts all_of(const PanelPlace& place) {
    return {place.first_cta + place.panel, place.ctas, -1};
  }
  [[nodiscard]] __device__ Parts groups_of(const PanelPlace& place) const {
    const int first = (place.first_cta + place.panel) / kGroupCtas + place.panel;
    return {args_.slots.first_group + first, (place.ctas + kGroupCtas - 1) / kGroupCtas, -1};
  }
  [[nodiscard]] __device__ Parts group_of_mine(const PanelPlace& place) const {
    const int group = (static_cast<int>(blockIdx.x) - place.first_cta) / kGroupCtas;
    const int begin = group * kGroupCtas;
    return {place.first_cta + place.panel + begin, min(kGroupCtas, place.ctas - begin),
            groups_of(place).first + group};
  }
  // Whether all others of the parts have been here before.
  [[nodiscard]] __device__ bool is_last_of(const PanelPlace& place, const Parts& parts) const {
    std::uint32_t* counter = args_.arrivals + (parts.to < 0 ? place.panel : parts.to);
    if (ptx::arrive(counter) + 1 != static_cast<std::uint32_t>(parts.count)) return false;
    *counter = 0;  // for the next call
    return true;
  }
  // The CTA's group of candidate i, of which it comes last, and the panel if it does so there too.
  // A function of its own: few calls need it, and the code that all go through is shorter for it.
  static __device__ __noinline__ void merge_groups(const DecodeArgs& args, Share& share, int i) {
    const Merge merge(args, share);
    const WalkPanel& panel = merge.candidate(i);
    Parts parts = merge.group_of_mine(panel.place);
    bool is_last = true;
#pragma unroll 1
    while (__syncthreads_or(is_last) != 0) {
      merge.template merge_parts<true>(panel, parts);
      if (parts.to < 0) return;
      parts = merge.groups_of(panel.place);
      __syncthreads();
      is_last = merge.thread_ == 0 && merge.is_last_of(panel.place, parts);
    }
  }

  // Sums of up to kAtOnce parts, on their way together.
  static constexpr int kAtOnce = 8;
  using Batch = float4[kAtOnce];
  __device__ static void load(Batch& batch, const float4* from, int count) {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      batch[i] = i < count ? __ldcg(from + i * kElements) : make_float4(0, 0, 0, 0);
    }
  }

  // Parts of a panel, in order; kGroups: they may be a group. Their states come to where the key
  // rings were, while the first sums are on their way.
  template <bool kGroups>
  __device__ void merge_parts(const WalkPanel& panel, const Parts& parts) const {
    const int count = parts.count;
    const bool is_group = kGroups && parts.to >= 0;
    int at = thread_;
    const float4* from = partial_sums<T>(args_, parts.first) + at;
    Batch batch;
    if constexpr (T::kValues) load(batch, from, at < kElements ? count : 0);
    const States states{reinterpret_cast<float*>(decode_memory)};
    constexpr int kHeaderFloats = static_cast<int>(sizeof(PartialHeader) / sizeof(float));
    const auto* headers = reinterpret_cast<const float*>(args_.headers + parts.first);
    for (int i = thread_; i < count * kHeaderFloats; i += threads_) {
      states.reference(i / kHeaderFloats)[i % kHeaderFloats] = __ldcg(headers + i);
    }
    __syncthreads();
    for (int i = thread_; i < count * kPanelRows; i += threads_) {
      find_factor(states, count, i / kPanelRows, i % kPanelRows);
    }
    __syncthreads();
    if (from_the_end() < kPanelRows) {
      const RowState all = add_states(states, count, from_the_end());
      if (is_group) {
        write_header(parts.to, from_the_end(), all);
      } else {
        write_lse(args_, panel.items, panel.place.panel, from_the_end(), all);
      }
    }
    if (!T::kValues || at >= kElements) return;
    StepSum total;
    int begin = 0;
    // One loop over elements and, of each, the parts, so that what is unrolled is there once.
#pragma unroll 1
    while (true) {
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (begin + i < count) total.add(batch[i], states, begin + i, at);
      }
      begin += kAtOnce;
      if (begin >= count) {
        if (is_group) {
          __stcg(partial_sums<T>(args_, parts.to) + at, total.sums);
        } else {
          total.write(args_, panel.items, at);
        }
        at += threads_;
        if (at >= kElements) return;
        from += threads_;
        total = {};
        begin = 0;
      }
      load(batch, from + begin * kElements, count - begin);
    }
  }

  const DecodeArgs& args_;
  Share& share_;
  int thread_;
  int threads_;
  SharedMap<T> map_;
};

}  // namespace thriftattn::cuda
