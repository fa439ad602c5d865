// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// From block masses to the sets of a unit: promoted K, promoted V inside it, tail, and the list in
// which the decode kernel finds them. A CTA a unit or, of few units that are long, a cluster, whose
// CTAs have a run of the blocks each; the keys of its blocks lie in shared memory.
// Bound by latency, that of the code's own way from memory included: loops are not unrolled, and
// all thresholds are found by the same few instructions.
#pragma once

#include "cuda/decode/fresh_token.cuh"
#include "cuda/decode/thresholds.cuh"

namespace thriftattn::cuda {

// Where a block goes: its class and whether it is an anchor.
struct Place {
  int item_class = kItemClasses;  // none: there is no such block
  bool anchor = false;
};

class Classifier {
 public:
  __device__ Classifier(const SelectShared& shared, const SelectArgs& args)
      : k_(shared.search[kForK].key),
        v_(shared.search[kForV].key),
        anchor_(shared.search[kForAnchors].key),
        tail_end_(args.tau > 0 ? shared.search[kForTail].key : 0),
        by_fate_(args.tail_by_fate) {}

  [[nodiscard]] __device__ Place operator()(const BlockKey& key) const {
    const bool tail = by_fate_ ? (key.tail & BlockKey::kWasTail) != 0 : key.tail_key() < tail_end_;
    Place place{tail ? kTail : kLow, is_in(key, anchor_, kForAnchors)};
    if (is_in(key, k_, kForK)) place.item_class = kKeyOnly;
    if (is_in(key, v_, kForV)) place.item_class = kBoth;
    return place;
  }

 private:
  __device__ static bool is_in(const BlockKey& key, std::uint32_t least, int threshold) {
    return key.rank <= least && (key.tail & BlockKey::not_in(threshold)) == 0;
  }

  std::uint32_t k_;
  std::uint32_t v_;
  std::uint32_t anchor_;
  std::uint32_t tail_end_;
  bool by_fate_;
};

// With peers: from the counts of the CTA's warps to `before` and `all`. All threads call it.
__device__ __forceinline__ void share_totals(SelectShared& shared) {
  using P = Peers<true>;
  if (threadIdx.x < 32) {
#pragma unroll
    for (int w = 0; w < kCountWords; ++w) shared.totals[w] = WarpCounts(shared.counts[w]).all;
  }
  P::sync();
  if (threadIdx.x < 32) {
    const int peer = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int w = 0; w < kCountWords; ++w) {
      const std::uint32_t theirs = peer < P::count() ? *P::of(peer, shared.totals + w) : 0;
      shared.before[w] = __reduce_add_sync(~0u, peer < P::rank() ? theirs : 0);
      shared.all[w] = __reduce_add_sync(~0u, theirs);
    }
  }
  __syncthreads();
}

// Writes the blocks of each class, in order, into the list, and the anchors, and gives the number
// of each class. A warp takes a run of the CTA's n blocks from `first` on, twice: to count and to
// write.
template <bool kCluster>
__device__ inline void write_list(SelectShared& shared, const SelectArgs& args,
                                  const BlockKey* keys, int n, int first, int sink,
                                  std::uint16_t* list, UnitSets& sets) {
  constexpr int kFields = kItemClasses + 1;  // the last: anchors
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const WarpRun run(n);
  const Classifier classify(shared, args);
  int at[kFields] = {};
#pragma unroll 1
  for (int i = run.begin + lane; i - lane < run.end; i += 32) {
    const Place place = i < run.end ? classify(keys[i]) : Place{};
#pragma unroll
    for (int f = 0; f < kItemClasses; ++f)
      at[f] += __popc(__ballot_sync(~0u, place.item_class == f));
    at[kItemClasses] += __popc(__ballot_sync(~0u, place.anchor));
  }
  if (lane == 0) {
#pragma unroll
    for (int w = 0; w < kCountWords; ++w) {
      const int high = 2 * w + 1 < kFields ? at[2 * w + 1] : 0;
      shared.counts[w][threadIdx.x / 32] = static_cast<std::uint32_t>(at[2 * w] | high << 16);
    }
  }
  __syncthreads();
  if constexpr (kCluster) share_totals(shared);
  int class_begin = 0;  // a class begins where the classes before it end
#pragma unroll
  for (int w = 0; w < kCountWords; ++w) {
    WarpCounts counts(shared.counts[w]);
    if constexpr (kCluster) {
      counts.before += shared.before[w];
      counts.all = shared.all[w];
    }
#pragma unroll
    for (int f = 2 * w; f < 2 * w + 2 && f < kFields; ++f) {
      if (f == kItemClasses) class_begin = sink;
      const int total = static_cast<int>(counts.all >> 16 * (f % 2) & 0xffffu);
      at[f] = class_begin + static_cast<int>(counts.before >> 16 * (f % 2) & 0xffffu);
      class_begin += total;
      if (f < kItemClasses && threadIdx.x == 0 && Peers<kCluster>::rank() == 0) {
        sets.count[f] = total;
      }
    }
  }
  const unsigned earlier = (1u << lane) - 1;  // lanes
#pragma unroll 1
  for (int i = run.begin + lane; i - lane < run.end; i += 32) {
    const Place place = i < run.end ? classify(keys[i]) : Place{};
    unsigned peers = 0;
    int to = 0;
#pragma unroll
    for (int f = 0; f < kItemClasses; ++f) {
      const unsigned mask = __ballot_sync(~0u, place.item_class == f);
      if (place.item_class == f) {
        peers = mask;
        to = at[f];
      }
      at[f] += __popc(mask);
    }
    const unsigned anchors = __ballot_sync(~0u, place.anchor);
    const auto block = static_cast<std::uint16_t>(first + i);
    if (i < run.end) list[to + __popc(peers & earlier)] = block;
    if (place.anchor) sets.anchor[at[kItemClasses] + __popc(anchors & earlier)] = block;
    at[kItemClasses] += __popc(anchors);
  }
}

__device__ inline void finish_sets(const SelectArgs& args, const SelectShared& shared, int known,
                                   int sink, UnitSets& sets) {
  if (sink != 0) sets.anchor[0] = 0;
  sets.known = known;
  sets.sink = sink;
  const std::uint32_t tail_end = shared.search[kForTail].key;
  sets.cut_log2 = !(args.tau > 0)            ? -INFINITY
                  : tail_end == Search::kAll ? INFINITY
                                             : static_cast<float>(tail_end) * (1.0f / 8192) - 24.0f;
  sets.anchors = sink + min(kMaxAnchors - sink, known - sink);
}

// kAppends: one token of each sequence is not counted by its length yet. CTAs behind those that
// choose append it, one a unit.
template <bool kAppends, bool kCluster>
__global__ void __launch_bounds__(kMaxSelectThreads, kCluster ? 1 : 0)
    select_kernel(const __grid_constant__ SelectArgs args) {
  extern __shared__ __align__(16) std::byte memory[];
  auto& shared = *reinterpret_cast<SelectShared*>(memory);
  auto* sums = reinterpret_cast<SelectSums*>(memory + sizeof(SelectShared));  // with peers
  auto* keys = reinterpret_cast<BlockKey*>(memory + select_keys_offset(kCluster));
  const int thread = static_cast<int>(threadIdx.x);
  const bool is_first_peer = Peers<kCluster>::rank() == 0;
  const int index = static_cast<int>(blockIdx.x) / Peers<kCluster>::count();
  if constexpr (kAppends) {
    const int units = args.shape.batch * args.cache.kv_heads;
    if (index >= units) {
      const int unit = static_cast<int>(blockIdx.x) - units * Peers<kCluster>::count();
      const int readers = args.cache.kv_heads * Peers<kCluster>::count();
      if (unit < units) append_unit(args, unit, readers, shared.score, keys);
      return;
    }
  }
  const CallUnit unit(args.shape, args.cache.kv_heads, index);
  const int sequence = args.shape.sequence[unit.entry];
  const std::size_t cell = static_cast<std::size_t>(sequence) * args.cache.kv_heads + unit.kv_head;
  if (unit.rows == 0) return;
  const int key_threads = static_cast<int>(blockDim.x) - (kAppends ? kRowThreads : 0);
  const bool makes_keys = thread < key_threads;
  if constexpr (kAppends) {
    if (!makes_keys) {
      pass_panels(kRowThreads);
      score_fresh(args, unit, shared.score);
    }
  }
  const int zeros = makes_keys ? (kThresholds + 2) * kDigits : 0;
  for (int i = thread; i < zeros; i += key_threads) shared.digits[i / kDigits][i % kDigits] = 0;
  int tokens;
  bool has_room = false;  // for a fresh token
  if constexpr (kAppends) {
    const FreshPlace place = FreshPlace::of(args, unit.entry, unit.kv_head);
    tokens = place.tokens(args);
    has_room = tokens > place.length;
  } else {
    tokens = __ldcg(args.cache.lengths + sequence);
  }
  // Blocks that will be full and nobody's own at the next step.
  const int known = (tokens - 1) / kBlockTokens;
  const int sink = known > 0 ? args.sink : 0;
  const int n = known - sink;
  // This CTA's.
  const int run = (n + Peers<kCluster>::count() - 1) / Peers<kCluster>::count();
  const int begin = min(run * Peers<kCluster>::rank(), n);
  const int mine = min(run, n - begin);
  // The last of the warps that make keys has the fewest blocks.
  if (thread == key_threads - 1) start_searches(args, n, sink, shared.search);
  if (makes_keys) {
    await_panels(args, unit.first_panel, unit.panels, key_threads, shared.panels);
  }
  make_keys(args, index, unit, sink + begin, mine, key_threads, kAppends ? shared.score : nullptr,
            has_room, shared.panels, keys);
  __syncthreads();
  find_thresholds<kCluster>(shared, sums, keys, mine, args.tau > 0, [&] {
    if constexpr (kAppends) {
      if (is_last_thread()) ptx::add_release(args.votes + unit.entry, AppendVote::kRead);
    }
  });
  UnitSets& sets = args.sets[cell];
  if (thread == 0 && is_first_peer) finish_sets(args, shared, known, sink, sets);
  write_list<kCluster>(shared, args, keys, mine, sink + begin, sink,
                       args.lists + cell * args.cache.max_blocks, sets);
  leave_panels(args, unit.first_panel, is_first_peer ? unit.panels : 0);
  Peers<kCluster>::leave();
}

}  // namespace thriftattn::cuda
