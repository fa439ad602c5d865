// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The token of a step, appended by the select that follows its attend: an append of its own would
// start cold behind both. The CTA of a unit stores its kv head's row while others look at masses,
// and says whether it can be stored. The last one of the sequence to say so changes the length or,
// if any cannot, keeps the fault and puts zeros where the others' rows are. Blocks that the token
// begins or fills are rare: they come last.
#pragma once

#include "cuda/cache/row_pair.cuh"
#include "cuda/cache/store.cuh"
#include "cuda/decode/types.h"

namespace thriftattn::cuda {

// Threads that store the row: the CTA's last ones, which have the fewest blocks.
inline constexpr int kRowThreads = 128;

// Teams of a CTA that append to a block: one for K and one for V, or one for both.
__host__ __device__ constexpr int append_teams(int threads) {
  return threads / kAppendThreads < 2 ? 1 : 2;
}
// Shared memory that they need.
constexpr int append_teams_bytes(int threads, int head_dim) {
  const std::size_t each = head_dim == 64    ? sizeof(AppendScratch<64>)
                           : head_dim == 128 ? sizeof(AppendScratch<128>)
                                             : sizeof(AppendScratch<256>);
  return append_teams(threads) * static_cast<int>(each);
}

// What the units of a sequence have said: how many, and how many cannot store their row.
class AppendVote {
 public:
  explicit __device__ AppendVote(std::uint32_t word) : word_(word) {}
  static __device__ std::uint32_t one(bool refuses) { return refuses ? 1u << 16 | 1u : 1u; }

  [[nodiscard]] __device__ int count() const { return static_cast<int>(word_ & 0xffffu); }
  [[nodiscard]] __device__ bool is_refused() const { return word_ >> 16 != 0; }

 private:
  std::uint32_t word_;
};

// Where the token goes.
struct FreshPlace {
  int entry;
  int sequence;
  int kv_head;
  int token;   // row of the call's k and v
  int length;  // of the sequence, before

  static __device__ FreshPlace of(const SelectArgs& args, int entry, int kv_head) {
    const int sequence = args.shape.sequence[entry];
    return {entry, sequence, kv_head, args.shape.q_begin[entry],
            __ldcg(args.cache.lengths + sequence)};
  }
  [[nodiscard]] __device__ int slot() const { return length % kBlockTokens; }
  [[nodiscard]] __device__ bool begins_block() const { return slot() == 0; }
  // Whether the token begins a block or fills one.
  [[nodiscard]] __device__ bool is_at_edge() const {
    return begins_block() || slot() == kBlockTokens - 1;
  }
  // A block that has tokens has a page.
  [[nodiscard]] __device__ bool has_room(const SelectArgs& args) const {
    return !begins_block() ||
           args.new_page[entry].has_room(args.cache, sequence, length / kBlockTokens);
  }
  // Only where there is room.
  [[nodiscard]] __device__ int page(const SelectArgs& args) const {
    return args.new_page[entry].page_of(args.cache, sequence, length / kBlockTokens);
  }
  // Of the block's rows of K, and of V.
  [[nodiscard]] __device__ std::size_t rows_at(const SelectArgs& args, int head) const {
    return args.cache.rows_cell(sequence, page(args), head) *
           static_cast<std::size_t>(DeviceTileLayout{args.cache.head_dim}.high_bytes());
  }
};

// Of a CTA, in shared memory.
struct FreshShared {
  FreshPlace place;
  int tokens;   // of the sequence, with the one that has room
  int refuses;  // whether a value of the unit's row cannot be stored

  [[nodiscard]] __device__ bool has_room() const { return tokens > place.length; }
};

[[nodiscard]] __device__ inline bool is_last_thread() { return threadIdx.x == blockDim.x - 1; }
[[nodiscard]] __device__ inline bool is_last_warp() {
  return static_cast<int>(blockDim.x - 1 - threadIdx.x) < 32;
}
[[nodiscard]] __device__ inline bool is_row_thread() {
  return static_cast<int>(blockDim.x - 1 - threadIdx.x) < kRowThreads;
}

// Stores the unit's row, unless it is at an edge. Its row threads call it. Gives whether this
// thread's values can be stored.
__device__ inline bool store_fresh_row(const SelectArgs& args, const FreshPlace& place) {
  const DeviceTileLayout layout{args.cache.head_dim};
  const int pairs = layout.head_dim / 2;
  const bool stores = !place.is_at_edge();
  const std::size_t first = stores ? place.rows_at(args, place.kv_head) : 0;
  bool good = true;
#pragma unroll 1
  for (int i = static_cast<int>(blockDim.x - 1 - threadIdx.x); i < 2 * pairs; i += kRowThreads) {
    const bool is_key = i < pairs;
    const int dim = 2 * (is_key ? i : i - pairs);
    const std::uint32_t pair =
        RowPair::load(is_key ? args.fresh.k : args.fresh.v, place.token, place.kv_head, dim);
    const bool finite = RowPair::is_finite(pair);
    good &= finite;
    if (!finite || !stores) continue;
    if (is_key) {
      RowPair::store_key(args.cache.high_k + first, layout, place.slot(), dim, pair);
    } else {
      RowPair::store_value(args.cache.high_v + first, layout, place.slot(), dim, pair);
    }
  }
  return good;
}

template <int kHeadDim>
__device__ void append_parts(const SelectArgs& args, const FreshPlace& place, void* memory) {
  const int teams = append_teams(static_cast<int>(blockDim.x));
  if (Team::index() >= teams) return;
  auto& scratch = static_cast<AppendScratch<kHeadDim>*>(memory)[Team::index()];
  const AppendInput input{args.cache, args.fresh.k, args.fresh.v, args.numerics};
  const NewRows row{place.slot(), place.slot() + 1, place.token};
#pragma unroll 1
  for (int part = Team::index(); part < 2; part += teams) {
    append_to_block<kHeadDim>(input, place.sequence, place.page(args),
                              BlockPart::of(2 * place.kv_head + part, {}), row, scratch);
  }
}

// The unit's block that its token begins or fills. All threads call it; memory: shared, of
// append_teams_bytes(). Ends with a barrier and a fence.
__device__ __noinline__ inline void append_to_unit(const SelectArgs& args, const FreshShared& fresh,
                                                   void* memory) {
  __syncthreads();  // what was in memory is read
  if (fresh.has_room() && fresh.refuses == 0) {
    if (args.cache.head_dim == 64) {
      append_parts<64>(args, fresh.place, memory);
    } else if (args.cache.head_dim == 128) {
      append_parts<128>(args, fresh.place, memory);
    } else {
      append_parts<256>(args, fresh.place, memory);
    }
  }
  __syncthreads();
  __threadfence();
}

// A token that is refused: keeps the first fault, and takes back what rows were stored. A warp
// calls it.
__device__ __noinline__ inline void refuse_token(const SelectArgs& args, const FreshShared& fresh) {
  const AppendInput input{args.cache, args.fresh.k, args.fresh.v, args.numerics};
  const FreshPlace& place = fresh.place;
  const int lane = static_cast<int>(threadIdx.x) & 31;
  std::uint64_t key = find_fault(input, place.token);
  if (!fresh.has_room()) key = min(key, FaultKey::pack(FaultCode::kRoom, place.token, 0, 0));
  if (lane == 0) record_fault(input, place.sequence, key);
  if (!fresh.has_room()) return;
  __threadfence();  // behind the votes: no store of a row is on its way
  const DeviceTileLayout layout{args.cache.head_dim};
#pragma unroll 1
  for (int head = 0; head < args.cache.kv_heads; ++head) {
    const std::size_t first = place.rows_at(args, head);
#pragma unroll 1
    for (int dim = 2 * lane; dim < layout.head_dim; dim += 64) {
      RowPair::store_key(args.cache.high_k + first, layout, place.slot(), dim, 0);
      RowPair::store_value(args.cache.high_v + first, layout, place.slot(), dim, 0);
    }
  }
}

// Says whether the unit's row can be stored. Where it is the last unit of its sequence to say so,
// it ends the append: nobody reads the length any more, since units read it before they vote, and
// attend let this kernel start when it had no item left. A warp calls it, behind a fence behind a
// barrier behind the stores.
__device__ inline void vote(const SelectArgs& args, const FreshShared& fresh) {
  const FreshPlace& place = fresh.place;
  const std::uint32_t mine = AppendVote::one(fresh.refuses != 0);
  std::uint32_t others = 0;
  if (threadIdx.x % 32 == 0) others = atomicAdd(args.votes + place.entry, mine);
  const AppendVote all(__shfl_sync(~0u, others, 0) + mine);
  if (all.count() < args.cache.kv_heads) return;
  args.votes[place.entry] = 0;
  args.attended[place.sequence] = {fresh.tokens, fresh.tokens - place.length};
  const NewPage& page = args.new_page[place.entry];
  if (page.block >= 0) {
    const std::size_t row = static_cast<std::size_t>(place.sequence) * args.cache.max_blocks;
    args.cache.block_table[row + page.block] = page.page;
  }
  if (all.is_refused() || !fresh.has_room()) {
    refuse_token(args, fresh);
  } else {
    args.cache.lengths[place.sequence] = fresh.tokens;
  }
}

}  // namespace thriftattn::cuda
