// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The token of a step, which its attend has not seen. Behind attend, a CTA a unit adds it to what
// attend left of the unit's rows, and appends it: so attend waits for no append, and has no code
// for one. These CTAs are the last ones of select's grid, side by side with those that choose, or a
// kernel of their own where there is no select (append_fresh.cu).
//
// A CTA stores its kv head's row, seals the block if that fills it, and says whether the row can be
// stored. The last one of the sequence to say so changes the length or, if any cannot, keeps the
// fault and puts zeros where the others' rows are.
#pragma once

#include "cuda/cache/row_pair.cuh"
#include "cuda/decode/fresh_rows.cuh"
#include "cuda/decode/rare_append.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// What the CTAs of a sequence have said: how many that append, how many of them cannot store their
// row, and how many others have read the length.
class AppendVote {
 public:
  static constexpr unsigned long long kOne = 1;
  static constexpr unsigned long long kRefused = 1ull << 20;
  static constexpr unsigned long long kRead = 1ull << 40;

  explicit __device__ AppendVote(unsigned long long word) : word_(word) {}

  [[nodiscard]] __device__ int count() const { return static_cast<int>(word_ % kRefused); }
  [[nodiscard]] __device__ bool is_refused() const { return word_ / kRefused % kRefused != 0; }
  [[nodiscard]] __device__ int reads() const { return static_cast<int>(word_ / kRead); }

 private:
  unsigned long long word_;
};

// Of those that store the row.
inline constexpr int kClearedBarrier = 1;

// The rows of a block that the token begins: zeros for all slots. kRowThreads threads call it.
__device__ inline void clear_block(const FreshArgs& args, std::size_t first, int thread) {
  const int bytes = DeviceTileLayout{args.cache.head_dim}.high_bytes();
#pragma unroll 4
  for (int at = 16 * thread; at < bytes; at += 16 * kRowThreads) {
    *reinterpret_cast<uint4*>(args.cache.high_k + first + at) = {0, 0, 0, 0};
    *reinterpret_cast<uint4*>(args.cache.high_v + first + at) = {0, 0, 0, 0};
  }
  ptx::named_barrier(kClearedBarrier, kRowThreads);
}

// Stores the unit's row where there is room. kRowThreads threads call it. Gives whether this
// thread's values can be stored.
__device__ inline bool store_row(const FreshArgs& args, const FreshPlace& place, bool has_room,
                                 int thread) {
  const DeviceTileLayout layout{args.cache.head_dim};
  const int pairs = layout.head_dim / 2;
  const std::size_t first = has_room ? place.rows_at(args, place.kv_head) : 0;
  if (has_room && place.begins_block()) clear_block(args, first, thread);
  bool good = true;
#pragma unroll 1
  for (int i = thread; i < 2 * pairs; i += kRowThreads) {
    const bool is_key = i < pairs;
    const int dim = 2 * (is_key ? i : i - pairs);
    const std::uint32_t pair =
        RowPair::load(is_key ? args.k : args.v, place.token, place.kv_head, dim);
    const bool finite = RowPair::is_finite(pair);
    good &= finite;
    if (!finite || !has_room) continue;
    if (is_key) {
      RowPair::store_key(args.cache.high_k + first, layout, place.slot(), dim, pair);
    } else {
      RowPair::store_value(args.cache.high_v + first, layout, place.slot(), dim, pair);
    }
  }
  return good;
}

// Says whether the unit's row can be stored. Where it is the last unit of its sequence to say so,
// it ends the append: attend let this kernel start when it had no item left, and readers of the
// length are waited for. They have lower indices, so they began before. A warp calls it, behind a
// fence behind a barrier behind the stores. Gives whether it is to refuse the token.
__device__ inline bool vote(const FreshArgs& args, const FreshPlace& place, int readers,
                            bool refuses) {
  unsigned long long* word = args.votes + place.entry;
  const auto mine = AppendVote::kOne + (refuses ? AppendVote::kRefused : 0);
  unsigned long long others = 0;
  if (threadIdx.x % 32 == 0) others = atomicAdd(word, mine);
  AppendVote all(__shfl_sync(~0u, others, 0) + mine);
  if (all.count() < args.cache.kv_heads) return false;
  while (all.reads() < readers) all = AppendVote(ptx::load_acquire(word));
  __syncwarp();
  *word = 0;
  const int tokens = place.tokens(args);
  args.attended[place.sequence] = {tokens, tokens - place.length};
  args.new_page[place.entry].enter(args.cache, place.sequence);
  if (all.is_refused() || tokens == place.length) return true;
  args.cache.lengths[place.sequence] = tokens;
  return false;
}

// What a CTA does for a unit of the call. readers: CTAs of the sequence that vote as readers of its
// length. All threads call it; score: [kMaxGroup], shared, as memory is, of append_teams_bytes().
//
// It begins when attend is about to end, and ends behind it, so that its own way counts: warps of
// different tasks take their first steps side by side, and each thread adds its item once before
// it can, without a result, to have the code, the constants and the token's values at hand.
__device__ __forceinline__ void append_unit(const FreshArgs& args, int index, int readers,
                                            float* score, void* memory) {
  const CallUnit unit(args.shape, args.cache.kv_heads, index);
  if (unit.rows == 0) return;
  const FreshPlace place = FreshPlace::of(args, unit.entry, unit.kv_head);
  const int behind = thread_from_end() - kRowThreads;
  bool good = true;
  if (behind < 0) {
    score_fresh(args, unit, score);
  } else if (behind < kRowThreads) {
    good = store_row(args, place, place.has_room(args), behind);
  }
  if (place.fills_block()) {
    good = __syncthreads_and(good) != 0;
    if (good) seal_block(args, place, memory);
  }
  const int items = FreshItem::count(args, unit);
  bool is_refused = false;
  bool has_ended = false;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < items || !has_ended;
       i += static_cast<int>(blockDim.x)) {
    const bool has_item = i - static_cast<int>(threadIdx.x) % 32 < items;  // of the warp
    FreshItem item(args, unit, place, min(i, items - 1));
#pragma unroll 1
    while (true) {
      if (has_item) item.add(args, has_ended ? score : nullptr);
      if (has_ended) break;
      const bool refuses = __syncthreads_or(!good) != 0;
      if (is_last_warp()) {
        __threadfence();
        is_refused = vote(args, place, readers, refuses);
      }
      ptx::wait_for_previous_kernel();
      has_ended = true;
    }
    if (i < items) item.write(args);
  }
  if (is_refused) refuse_token(args, place);
}

}  // namespace thriftattn::cuda
