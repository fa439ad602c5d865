// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// From block masses to the sets of a unit: promoted K, promoted V inside it, tail, and the list in
// which the decode kernel finds them. One CTA a unit; the keys of its blocks lie in shared memory.
// Bound by latency: four passes of a radix search that serves all three thresholds at once.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

inline constexpr int kSelectThreads = 512;
inline constexpr int kSelectWarps = kSelectThreads / 32;
inline constexpr int kDigits = 256;
// Masses are summed as integers, rounded up: in any order the same. A row's add up to 1, and a unit
// has at most kMaxGroup * kMaxQueryTokens rows.
inline constexpr float kMassUp = 0x1p22f;
static_assert(kMaxGroup * kMaxQueryTokens <= 512);

// A search for one threshold, digit by digit from the top.
struct Search {
  std::uint32_t prefix = 0;
  std::uint32_t left = 0;  // ranks: keys still to find; tail: what is left of tau
};

struct SelectShared {
  std::uint32_t k_digits[kDigits];
  std::uint32_t v_digits[kDigits];
  std::uint32_t anchor_digits[kDigits];
  std::uint32_t tail_digits[kDigits];
  Search k;
  Search v;
  Search anchor;
  Search tail;
  bool tail_is_all;
  int anchors;
  int anchor_block[kMaxAnchors];
  unsigned long long warp_counts[kSelectWarps];
};

// Dynamic shared memory for units of up to `blocks` blocks: two keys each.
constexpr int select_shared_bytes(int blocks) {
  return static_cast<int>(sizeof(SelectShared)) + 8 * blocks;
}

// Keys grow with the logarithm, in steps of 2^-13, so that digits of the top are well spread.
__device__ inline std::uint32_t log_key(float log2_value) {
  return static_cast<std::uint32_t>((fminf(fmaxf(log2_value, -24.0f), 7.99f) + 24.0f) * 8192.0f);
}
// Unique: the higher the rank the larger the key; of equal ranks, the lower block has it.
__device__ inline std::uint32_t rank_key(std::uint32_t rank, int block) {
  static_assert(kMaxBlocks == 1 << 14);
  return rank << 14 | static_cast<std::uint32_t>(kMaxBlocks - 1 - block);
}
// Scores of any size as keys of 18 bits, in order.
__device__ inline std::uint32_t score_key(float score) {
  const std::uint32_t bits = __float_as_uint(score);
  return ((bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u) >> 14;
}

struct Candidate {
  float rank = 0;     // summed over rows
  float largest = 0;  // mass, over rows
};

__device__ inline Candidate candidate(const SelectArgs& args, int first_panel, int rows,
                                      int block) {
  Candidate c;
  for (int first = 0; first < rows; first += kPanelRows) {
    const int panel = first_panel + first / kPanelRows;
    const std::size_t at =
        (static_cast<std::size_t>(panel) * args.cache.max_blocks + block) * kPanelRows;
    const float4* masses = reinterpret_cast<const float4*>(args.masses + at);
    const float4* lses = reinterpret_cast<const float4*>(args.row_lse + panel * kPanelRows);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 mass = __ldcg(masses + half);
      const float4 lse = __ldcg(lses + half);
      const float share[4] = {mass.x - lse.x, mass.y - lse.y, mass.z - lse.z, mass.w - lse.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (first + 4 * half + i >= rows || !(share[i] <= 1.0f)) continue;  // absent, or NaN
        const float x = ptx::exp2_approx(share[i]);
        c.rank += x;
        c.largest = fmaxf(c.largest, x);
      }
    }
  }
  return c;
}

// Blocks of `share` of n candidates, as selection::promoted_counts does.
__device__ inline std::uint32_t share_of(double share, int n) {
  const double blocks = ceil(share * n - 1e-9);
  return static_cast<std::uint32_t>(fmin(fmax(blocks, 0.0), static_cast<double>(n)));
}

// One digit by one warp. Of a search among ranks, the digit in which the left-th key from the top
// lies; of the tail's, the digit from below at which its masses use up what is left.
template <bool kFromTop>
__device__ inline void find_digit(const std::uint32_t* digits, Search& search, int shift, int lane,
                                  bool* is_all) {
  std::uint32_t mine[8];
  std::uint32_t sum = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int digit = 8 * lane + i;
    sum += mine[i] = digits[kFromTop ? kDigits - 1 - digit : digit];
  }
  std::uint32_t before = sum;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const std::uint32_t other = __shfl_up_sync(~0u, before, d);
    if (lane >= d) before += other;
  }
  const std::uint32_t all = __shfl_sync(~0u, before, 31);
  before -= sum;
  const Search now = search;
  __syncwarp();
  if (!kFromTop && lane == 0 && all <= now.left) *is_all = true;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const bool here = kFromTop ? before < now.left && now.left <= before + mine[i]
                               : before <= now.left && now.left < before + mine[i];
    if (here) {
      const int digit = kFromTop ? kDigits - 1 - (8 * lane + i) : 8 * lane + i;
      search = {now.prefix | static_cast<std::uint32_t>(digit) << shift, now.left - before};
    }
    before += mine[i];
  }
}

// What the tail's sum counts for a key: the mass at the key's step, rounded up.
__device__ inline std::uint32_t mass_of(std::uint32_t tail_key) {
  const float log2_mass = static_cast<float>((tail_key >> 14) + 1) * (1.0f / 8192) - 24.0f;
  return static_cast<std::uint32_t>(ptx::exp2_approx(fminf(log2_mass, 0.0f)) * kMassUp) + 1;
}

// Finds the thresholds of K, V and tail among n keys. All threads call it.
__device__ inline void search_thresholds(SelectShared& shared, const std::uint32_t* ranks,
                                         const std::uint32_t* tails, int n) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (thread < kDigits) {
      shared.k_digits[thread] = 0;
      shared.v_digits[thread] = 0;
      shared.anchor_digits[thread] = 0;
      shared.tail_digits[thread] = 0;
    }
    __syncthreads();
    const std::uint32_t above = shift == 24 ? 0 : ~0u << (shift + 8);
    const std::uint32_t k_prefix = shared.k.prefix;
    const std::uint32_t v_prefix = shared.v.prefix;
    const std::uint32_t anchor_prefix = shared.anchor.prefix;
    const std::uint32_t tail_prefix = shared.tail.prefix;
#pragma unroll 4
    for (int i = thread; i < n; i += kSelectThreads) {
      const std::uint32_t rank = ranks[i];
      const std::uint32_t tail = tails[i];
      if ((rank & above) == k_prefix) atomicAdd(&shared.k_digits[rank >> shift & 255u], 1u);
      if ((rank & above) == v_prefix) atomicAdd(&shared.v_digits[rank >> shift & 255u], 1u);
      if ((rank & above) == anchor_prefix) {
        atomicAdd(&shared.anchor_digits[rank >> shift & 255u], 1u);
      }
      if ((tail & above) == tail_prefix) {
        atomicAdd(&shared.tail_digits[tail >> shift & 255u], mass_of(tail));
      }
    }
    __syncthreads();
    const int lane = thread & 31;
    if (thread / 32 == 0) find_digit<true>(shared.k_digits, shared.k, shift, lane, nullptr);
    if (thread / 32 == 1) find_digit<true>(shared.v_digits, shared.v, shift, lane, nullptr);
    if (thread / 32 == 2) {
      find_digit<true>(shared.anchor_digits, shared.anchor, shift, lane, nullptr);
    }
    if (thread / 32 == 3 && !shared.tail_is_all) {
      find_digit<false>(shared.tail_digits, shared.tail, shift, lane, &shared.tail_is_all);
    }
    __syncthreads();
  }
}

// Writes the blocks of each class, in order, into the list, and gives the number of each. A thread
// takes a run of blocks; counts of four classes share a word, 16 bits each.
template <class ClassOf>
__device__ inline unsigned long long write_list(SelectShared& shared, int n, int sink,
                                                std::uint16_t* list, ClassOf&& class_of) {
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread & 31;
  const int run = (n + kSelectThreads - 1) / kSelectThreads;
  const int begin = min(thread * run, n);
  const int end = min(begin + run, n);
  unsigned long long mine = 0;
  for (int i = begin; i < end; ++i) mine += 1ull << 16 * class_of(i);
  unsigned long long before = mine;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const unsigned long long other = __shfl_up_sync(~0u, before, d);
    if (lane >= d) before += other;
  }
  if (lane == 31) shared.warp_counts[thread / 32] = before;
  before -= mine;
  __syncthreads();
  unsigned long long all = 0;
#pragma unroll
  for (int w = 0; w < kSelectWarps; ++w) {
    const unsigned long long count = shared.warp_counts[w];
    if (w < thread / 32) before += count;
    all += count;
  }
  // A class begins where the classes before it end.
  before += (all << 16) + (all << 32) + (all << 48);
  for (int i = begin; i < end; ++i) {
    const int c = class_of(i);
    list[before >> 16 * c & 0xffffu] = static_cast<std::uint16_t>(sink + i);
    before += 1ull << 16 * c;
  }
  return all;
}

__global__ void __launch_bounds__(kSelectThreads)
    select_kernel(const __grid_constant__ SelectArgs args) {
  extern __shared__ __align__(16) std::byte memory[];
  auto& shared = *reinterpret_cast<SelectShared*>(memory);
  auto* ranks = reinterpret_cast<std::uint32_t*>(memory + sizeof(SelectShared));
  ptx::wait_for_previous_kernel();

  const CallShape& shape = args.shape;
  const int entry = static_cast<int>(blockIdx.x) / args.cache.kv_heads;
  const int kv_head = static_cast<int>(blockIdx.x) % args.cache.kv_heads;
  const int sequence = shape.sequence[entry];
  const int rows = (shape.q_begin[entry + 1] - shape.q_begin[entry]) * shape.group;
  if (rows == 0) return;
  const int tiles = (rows + kPanelRows - 1) / kPanelRows;
  const int first_panel = shape.panel_begin[entry] + kv_head * tiles;
  // Blocks that will be full and nobody's own at the next step.
  const int known = (__ldg(args.cache.lengths + sequence) - 1) / kBlockTokens;
  const int sink = known > 0 ? args.sink : 0;
  const int n = known - sink;
  std::uint32_t* tails = ranks + n;

  const double n_f64 = n > 0 ? n : 1;
  const double share =
      args.budget.kind == Budget::Kind::kCount ? args.budget.value / n_f64 : args.budget.value;
  const std::uint32_t k_count = share_of(args.budget.k_share * share, n);
  const std::uint32_t v_count = min(k_count, share_of(args.budget.v_share * share, n));
  const std::size_t unit = static_cast<std::size_t>(sequence) * args.cache.kv_heads + kv_head;
  const bool wants_tail = args.tau > 0;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    shared.k = {0, k_count};
    shared.v = {0, v_count};
    shared.anchor = {0, static_cast<std::uint32_t>(min(kMaxAnchors - sink, n))};
    shared.tail = {0, static_cast<std::uint32_t>(args.tau * kMassUp)};
    shared.tail_is_all = false;
    shared.anchors = 0;
  }
#pragma unroll 4
  for (int i = thread; i < n; i += kSelectThreads) {
    const int block = sink + i;
    const Candidate c = candidate(args, first_panel, rows, block);
    const std::uint32_t rank =
        args.ranks == nullptr
            ? log_key(ptx::log2_approx(c.rank))
            : score_key(
                  args.ranks[static_cast<std::size_t>(blockIdx.x) * args.cache.max_blocks + block]);
    ranks[i] = rank_key(rank, block);
    tails[i] = log_key(ptx::log2_approx(c.largest)) << 14;
  }
  __syncthreads();
  search_thresholds(shared, ranks, tails, n);

  const std::uint32_t k_least = shared.k.prefix;
  const std::uint32_t v_least = shared.v.prefix;
  const std::uint32_t tail_end = !wants_tail ? 0u : shared.tail_is_all ? ~0u : shared.tail.prefix;
  const std::size_t first_cell = static_cast<std::size_t>(first_panel) * args.cache.max_blocks;
  const auto class_of = [&](int i) {
    if (v_count > 0 && ranks[i] >= v_least) return static_cast<int>(kBoth);
    if (k_count > 0 && ranks[i] >= k_least) return static_cast<int>(kKeyOnly);
    const bool tail = args.fates == nullptr ? tails[i] < tail_end
                                            : (args.fates[first_cell + sink + i] & kFateTail) != 0;
    return static_cast<int>(tail ? kTail : kLow);
  };
  // Anchors in any order; sorted below, so that what is summed over them is the same every time.
  for (int i = thread; i < n; i += kSelectThreads) {
    if (ranks[i] >= shared.anchor.prefix)
      shared.anchor_block[atomicAdd(&shared.anchors, 1)] = sink + i;
  }
  const unsigned long long counts =
      write_list(shared, n, sink, args.lists + unit * args.cache.max_blocks, class_of);
  if (thread < sink) args.sets[unit].anchor[0] = 0;
  if (thread < shared.anchors) {
    const int mine = shared.anchor_block[thread];
    int place = sink;
    for (int i = 0; i < shared.anchors; ++i) place += shared.anchor_block[i] < mine;
    args.sets[unit].anchor[place] = static_cast<std::uint16_t>(mine);
  }
  if (thread != 0) return;
  UnitSets& sets = args.sets[unit];
  sets.known = known;
  sets.sink = sink;
  for (int c = 0; c < kItemClasses; ++c) {
    sets.count[c] = static_cast<int>(counts >> 16 * c & 0xffffu);
  }
  sets.cut_log2 = !wants_tail          ? -INFINITY
                  : shared.tail_is_all ? INFINITY
                                       : static_cast<float>(tail_end >> 14) * (1.0f / 8192) - 24.0f;
  sets.anchors = sink + shared.anchors;
}

}  // namespace thriftattn::cuda
