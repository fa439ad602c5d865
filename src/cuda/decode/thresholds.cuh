// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// From block masses to keys, and from the keys of a unit to the thresholds of its sets: K, V,
// anchors and tail, each found in two digits. Blocks with equal keys come in order of block. The
// CTAs of a unit have a run of its blocks each; what they count is added up by each of them.
#pragma once

#include <cstdint>

#include "cuda/common/ptx.cuh"
#include "cuda/decode/await_panels.cuh"
#include "cuda/decode/fresh_rows.cuh"
#include "cuda/decode/peers.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

inline constexpr int kMaxSelectThreads = 1024;
inline constexpr int kKeyBits = 18;
inline constexpr int kDigitBits = 9;
inline constexpr int kDigits = 1 << kDigitBits;
// Masses are summed as integers, rounded up: in any order the same. A row's add up to 1, and a unit
// has at most kMaxUnitRows rows.
inline constexpr float kMassUp = 0x1p22f;
static_assert(kMaxUnitRows <= 512);

static_assert(kKeyBits == 2 * kDigitBits);

enum Threshold : int { kForK, kForV, kForAnchors, kForTail, kThresholds };
inline constexpr int kFirstRank = kThresholds;  // the first digit of ranks is counted once for all
inline constexpr int kFirstTail = kThresholds + 1;
inline constexpr int kCountWords = (kItemClasses + 1 + 1) / 2;  // classes and anchors, 16 bits each

// Keys below `key` are in; of ranks that are equal to it, `left` more, by order of block. While it
// is searched, digit by digit from the top, `key` is known so far and `left` what is still to find.
struct Search {
  static constexpr std::uint32_t kAll = 1u << kKeyBits;

  std::uint32_t key = 0;
  std::uint32_t left = 0;  // blocks; of the tail, mass and one unit
};

struct BlockKey {
  static constexpr std::uint32_t kWasTail = 0x80000000u;
  // Of a block with the threshold's own rank: others come before it.
  static constexpr std::uint32_t not_in(int threshold) { return 0x40000000u >> threshold; }

  std::uint32_t rank;  // the smaller, the heavier
  std::uint32_t tail;  // the larger, the heavier, and the flags above
  [[nodiscard]] __device__ std::uint32_t tail_key() const { return tail & (Search::kAll - 1); }
};

struct alignas(16) SelectShared {
  // The second digit of each search, then the first one: kFirstRank, kFirstTail.
  std::uint32_t digits[kThresholds + 2][kDigits];
  Search search[kThresholds];
  std::uint32_t counts[kCountWords][kMaxSelectThreads / 32];
  UnitPanels panels;
  float score[kMaxGroup];  // of a token that the kernel appends: see score_fresh()
  // With peers: what this one has in all, what those before it have, and what all have.
  std::uint32_t totals[kCountWords];
  std::uint32_t before[kCountWords];
  std::uint32_t all[kCountWords];
};
// Digits of all peers, each [kDigits].
using SelectSums = std::uint32_t[kThresholds][kDigits];

// Dynamic shared memory of a CTA that has up to `blocks` blocks: SelectShared | SelectSums, with
// peers | keys.
constexpr int select_keys_offset(bool cluster) {
  return static_cast<int>(sizeof(SelectShared) + (cluster ? sizeof(SelectSums) : 0));
}
constexpr int select_shared_bytes(int blocks, bool cluster) {
  return select_keys_offset(cluster) + static_cast<int>(sizeof(BlockKey)) * blocks;
}

// Grows with the logarithm, in steps of 2^-13, so that digits of the top are well spread.
__device__ inline std::uint32_t log_key(float log2_value) {
  return static_cast<std::uint32_t>((fminf(fmaxf(log2_value, -24.0f), 7.99f) + 24.0f) * 8192.0f);
}
// Scores of any size as keys, in order.
__device__ inline std::uint32_t score_key(float score) {
  const std::uint32_t bits = __float_as_uint(score);
  return ((bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u) >> (32 - kKeyBits);
}
// What the tail's sum counts for a key: the mass at the key's step, rounded up.
__device__ inline std::uint32_t mass_of(std::uint32_t tail_key) {
  const float log2_mass = static_cast<float>(tail_key + 1) * (1.0f / 8192) - 24.0f;
  return static_cast<std::uint32_t>(ptx::exp2_approx(fminf(log2_mass, 0.0f)) * kMassUp) + 1;
}

// A block's masses in four rows of the unit, from row `first` on.
inline constexpr int kRowsAtOnce = 4;
__device__ inline float4 load_masses(const SelectArgs& args, int first_panel, int first,
                                     int block) {
  const auto panel = static_cast<std::size_t>(first_panel + first / kPanelRows);
  const std::size_t cell = panel * args.cache.max_blocks + block;
  return __ldcg(reinterpret_cast<const float4*>(args.masses + cell * kPanelRows) +
                first / kRowsAtOnce % 2);
}

struct Candidate {
  float rank = 0;     // summed over rows
  float largest = 0;  // mass, over rows

  __device__ void add(const float4& m, const float4& lse, int first, int rows) {
    const float share[kRowsAtOnce] = {m.x - lse.x, m.y - lse.y, m.z - lse.z, m.w - lse.w};
#pragma unroll
    for (int i = 0; i < kRowsAtOnce; ++i) {
      if (first + i >= rows || !(share[i] <= 1.0f)) continue;  // absent, or NaN
      const float x = ptx::exp2_approx(share[i]);
      rank += x;
      largest = fmaxf(largest, x);
    }
  }
};

// Blocks of `share` of n candidates, as selection::promoted_counts does.
__device__ inline std::uint32_t share_of(double share, int n) {
  const double blocks = ceil(share * n - 1e-9);
  return static_cast<std::uint32_t>(fmin(fmax(blocks, 0.0), static_cast<double>(n)));
}

// What each search has to find among n blocks.
__device__ inline void start_searches(const SelectArgs& args, int n, int sink,
                                      Search (&search)[kThresholds]) {
  const double share =
      args.budget.kind == Budget::Kind::kCount ? args.budget.value / max(n, 1) : args.budget.value;
  const std::uint32_t k_count = share_of(args.budget.k_share * share, n);
  search[kForK] = {0, k_count};
  search[kForV] = {0, min(k_count, share_of(args.budget.v_share * share, n))};
  search[kForAnchors] = {0, static_cast<std::uint32_t>(min(kMaxAnchors - sink, n))};
  search[kForTail] = {0, static_cast<std::uint32_t>(args.tau * kMassUp) + 1};
}

// Keys of n blocks of a unit, number `index` of the call, from block `begin` on. All threads call
// it, the first `threads` make keys, behind await_panels(); a thread's first loads are on their way
// while the lse are found. score: of the rows by a token that nobody has counted yet, where it has
// room; the other threads have written it. Or nullptr.
__device__ inline void make_keys(const SelectArgs& args, int index, const CallUnit& unit, int begin,
                                 int n, int threads, const float* score, bool has_room,
                                 UnitPanels& panels, BlockKey* keys) {
  const int rows = unit.rows;
  const int first_panel = unit.first_panel;
  const bool makes_keys = static_cast<int>(threadIdx.x) < threads;
  int i = makes_keys ? static_cast<int>(threadIdx.x) : n;
  float4 masses{};
  float4 ahead{};
  if (i < n) {
    masses = load_masses(args, first_panel, 0, begin + i);
    if (rows > kRowsAtOnce) {
      ahead = load_masses(args, first_panel, kRowsAtOnce, begin + i);
    } else if (i + threads < n) {
      ahead = load_masses(args, first_panel, 0, begin + i + threads);
    }
  }
  if (makes_keys) find_lses(args, first_panel, rows, threads / 32, panels);
  __syncthreads();
  if (score != nullptr) {
    const int row = static_cast<int>(threadIdx.x);
    if (row < rows && has_room) panels.lse[row] = add_log2(panels.lse[row], score[row]);
    __syncthreads();
  }
  const float4* lses = reinterpret_cast<const float4*>(panels.lse);
  int loaded = 2;
#pragma unroll 1
  for (; i < n; i += threads) {
    const int block = begin + i;
    std::uint32_t tail = 0;
    if (args.tail_by_fate) {
      const std::size_t cell =
          static_cast<std::size_t>(first_panel) * args.cache.max_blocks + block;
      if ((__ldcg(args.fates + cell) & kFateTail) != 0) tail = BlockKey::kWasTail;
    }
    Candidate c;
#pragma unroll 1
    for (int first = 0; first < rows; first += kRowsAtOnce) {
      if (loaded == 0) masses = load_masses(args, first_panel, first, block);
      c.add(masses, lses[first / kRowsAtOnce], first, rows);
      if (loaded == 0) continue;
      masses = ahead;
      --loaded;
    }
    std::uint32_t rank;
    if (args.ranks == nullptr) {
      rank = log_key(ptx::log2_approx(c.rank));
    } else {
      rank = score_key(args.ranks[static_cast<std::size_t>(index) * args.cache.max_blocks + block]);
    }
    keys[i] = {Search::kAll - 1 - rank, tail | log_key(ptx::log2_approx(c.largest))};
  }
}

// Counts the first digit of all keys; of the tail, whose masses go to one place one after the
// other, only where there is one. All threads call it.
__device__ inline void count_first_digits(SelectShared& shared, const BlockKey* keys, int n,
                                          bool has_tail) {
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    const BlockKey key = keys[i];
    atomicAdd(&shared.digits[kFirstRank][key.rank >> kDigitBits], 1u);
    if (!has_tail) continue;
    atomicAdd(&shared.digits[kFirstTail][key.tail_key() >> kDigitBits], mass_of(key.tail_key()));
  }
}

// Counts the second digit of the keys whose first one is that of a threshold.
__device__ inline void count_second_digits(SelectShared& shared, const BlockKey* keys, int n) {
  std::uint32_t first[kThresholds];
#pragma unroll
  for (int s = 0; s < kThresholds; ++s) first[s] = shared.search[s].key >> kDigitBits;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    const BlockKey key = keys[i];
#pragma unroll
    for (int s = 0; s < kForTail; ++s) {
      if (key.rank >> kDigitBits != first[s]) continue;
      atomicAdd(&shared.digits[s][key.rank & (kDigits - 1)], 1u);
    }
    if (key.tail_key() >> kDigitBits != first[kForTail]) continue;
    atomicAdd(&shared.digits[kForTail][key.tail_key() & (kDigits - 1)], mass_of(key.tail_key()));
  }
}

// The digit at which what a search is to find is reached. A warp a search.
__device__ inline void find_digit(const std::uint32_t* digits, Search& search, int shift,
                                  int lane) {
  constexpr int kEach = kDigits / 32;
  std::uint32_t mine[kEach];
  std::uint32_t sum = 0;
#pragma unroll
  for (int i = 0; i < kEach; i += 4) {
    const uint4 v = *reinterpret_cast<const uint4*>(digits + kEach * lane + i);
    mine[i] = v.x, mine[i + 1] = v.y, mine[i + 2] = v.z, mine[i + 3] = v.w;
    sum += v.x + v.y + v.z + v.w;
  }
  std::uint32_t before = sum;
#pragma unroll
  for (int d = 1; d < 32; d *= 2) {
    const std::uint32_t other = __shfl_up_sync(~0u, before, d);
    if (lane >= d) before += other;
  }
  const Search now = search;
  __syncwarp();
  const bool here = before - sum < now.left && now.left <= before;
  const bool found = __any_sync(~0u, here);
  if (!found && lane == 0 && now.left != 0) search.key = Search::kAll;
  if (!here) return;
  std::uint32_t left = now.left - (before - sum);
  std::uint32_t digit = 0;
  bool reached = false;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    reached |= left <= mine[i];
    if (!reached) left -= mine[i], ++digit;
  }
  search = {now.key | (kEach * static_cast<std::uint32_t>(lane) + digit) << shift, left};
}

// A warp's run of n blocks: the same for all that count in order of block.
struct WarpRun {
  int begin;
  int end;

  __device__ explicit WarpRun(int n) {
    const int threads = static_cast<int>(blockDim.x);
    const int run = (n + threads - 1) / threads * 32;
    begin = min(static_cast<int>(threadIdx.x) / 32 * run, n);
    end = min(begin + run, n);
  }
};

// Two counts of 16 bits in a word, of a warp: those of the warps before it, and of all.
struct WarpCounts {
  std::uint32_t before;
  std::uint32_t all;

  __device__ WarpCounts(const std::uint32_t* counts) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const std::uint32_t count = lane < static_cast<int>(blockDim.x) / 32 ? counts[lane] : 0;
    before = __reduce_add_sync(~0u, lane < static_cast<int>(threadIdx.x) / 32 ? count : 0);
    all = __reduce_add_sync(~0u, count);
  }
};

// Of the blocks that are equal to a threshold, marks those that are too many. All threads call it.
template <bool kCluster>
__device__ inline void mark_ties(SelectShared& shared, BlockKey* keys, int n) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const WarpRun run(n);
  Search search[kForTail];
  int equals[kForTail] = {};
#pragma unroll
  for (int s = 0; s < kForTail; ++s) search[s] = shared.search[s];
#pragma unroll 1
  for (bool marks = false;; marks = true) {
#pragma unroll 1
    for (int i = run.begin + lane; i - lane < run.end; i += 32) {
#pragma unroll
      for (int s = 0; s < kForTail; ++s) {
        const bool equal = i < run.end && keys[i].rank == search[s].key;
        const unsigned mask = __ballot_sync(~0u, equal);
        const int earlier = equals[s] + __popc(mask & ((1u << lane) - 1));
        if (marks && equal && earlier >= static_cast<int>(search[s].left)) {
          keys[i].tail |= BlockKey::not_in(s);
        }
        equals[s] += __popc(mask);
      }
    }
    if (marks) break;
    if (lane == 0) {
      shared.counts[0][warp] = static_cast<std::uint32_t>(equals[0] | equals[1] << 16);
      shared.counts[1][warp] = static_cast<std::uint32_t>(equals[2]);
    }
    __syncthreads();
    const std::uint32_t first = WarpCounts(shared.counts[0]).before;
    equals[0] = static_cast<int>(first & 0xffffu);
    equals[1] = static_cast<int>(first >> 16);
    equals[2] = static_cast<int>(WarpCounts(shared.counts[1]).before);
    if constexpr (kCluster) {
      if (threadIdx.x < kForTail) {
        const std::uint32_t* equal =
            &shared.digits[threadIdx.x][shared.search[threadIdx.x].key & (kDigits - 1)];
        std::uint32_t before = 0;
        for (int peer = 0; peer < Peers<kCluster>::rank(); ++peer) {
          before += *Peers<kCluster>::of(peer, equal);
        }
        shared.before[threadIdx.x] = before;
      }
      __syncthreads();
#pragma unroll
      for (int s = 0; s < kForTail; ++s) equals[s] += static_cast<int>(shared.before[s]);
    }
  }
  __syncthreads();
}

// Adds up `count` kinds of digits over the peers. All threads call it.
__device__ __forceinline__ void add_digits(const std::uint32_t (*digits)[kDigits], int count,
                                           SelectSums& sums) {
  for (int i = static_cast<int>(threadIdx.x); i < count * kDigits;
       i += static_cast<int>(blockDim.x)) {
    const std::uint32_t* mine = &digits[i / kDigits][i % kDigits];
    std::uint32_t sum = 0;
#pragma unroll 4
    for (int peer = 0; peer < Peers<true>::count(); ++peer) sum += *Peers<true>::of(peer, mine);
    sums[i / kDigits][i % kDigits] = sum;
  }
  __syncthreads();
}

// Finds all thresholds of the unit, whose n keys this CTA has; sums: with peers. All threads call
// it; digits are zero before. Warps without a search call meanwhile(), once.
template <bool kCluster, class Meanwhile>
__device__ inline void find_thresholds(SelectShared& shared, SelectSums* sums, BlockKey* keys,
                                       int n, bool has_tail, Meanwhile meanwhile) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int s = static_cast<int>(threadIdx.x) / 32;
  count_first_digits(shared, keys, n, has_tail);
  Peers<kCluster>::sync();
#pragma unroll 1
  for (int shift = kDigitBits;; shift = 0) {
    const int first = shift == 0 ? 0 : kFirstRank;
    if constexpr (kCluster) {
      add_digits(shared.digits + first, shift == 0 ? kThresholds : 2, *sums);
    }
    if (s < kThresholds) {
      const int counted = shift == 0 ? s : s < kForTail ? kFirstRank : kFirstTail;
      const std::uint32_t* digits = kCluster ? (*sums)[counted - first] : shared.digits[counted];
      find_digit(digits, shared.search[s], shift, lane);
    } else if (shift == 0) {
      meanwhile();
    }
    __syncthreads();
    if (shift == 0) break;
    count_second_digits(shared, keys, n);
    Peers<kCluster>::sync();
  }
  bool ties = false;
#pragma unroll
  for (int r = 0; r < kForTail; ++r) {
    const Search search = shared.search[r];
    const std::uint32_t* digits = kCluster ? (*sums)[r] : shared.digits[r];
    ties |= search.left < digits[search.key & (kDigits - 1)];
  }
  if (ties) mark_ties<kCluster>(shared, keys, n);
}

}  // namespace thriftattn::cuda
