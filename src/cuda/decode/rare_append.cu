// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/cache/fault.cuh"
#include "cuda/cache/row_pair.cuh"
#include "cuda/cache/seal.cuh"
#include "cuda/decode/rare_append.cuh"

namespace thriftattn::cuda {
namespace {

template <int kHeadDim>
__device__ void seal_parts(const FreshArgs& args, const FreshPlace& place, void* memory) {
  const int teams = append_teams(static_cast<int>(blockDim.x));
  if (Team::index() >= teams) return;
  auto& scratch = static_cast<AppendScratch<kHeadDim>*>(memory)[Team::index()];
  const int page = place.page(args);
#pragma unroll 1
  for (int part = Team::index(); part < 2; part += teams) {
    const BlockPart to = BlockPart::of(2 * place.kv_head + part, {});
    Team::sync();  // the last part's rows are read
    gather_stored(to.part, high_rows<kHeadDim>(args.cache, place.sequence, page, to), kBlockTokens,
                  scratch.rows);
    Team::sync();
    seal_gathered(args.cache, args.numerics, page, to, scratch);
  }
}

}  // namespace

__device__ void seal_block(const FreshArgs& args, const FreshPlace& place, void* memory) {
  if (args.cache.head_dim == 64) {
    seal_parts<64>(args, place, memory);
  } else if (args.cache.head_dim == 128) {
    seal_parts<128>(args, place, memory);
  } else {
    seal_parts<256>(args, place, memory);
  }
  __syncthreads();
}

__device__ void refuse_token(const FreshArgs& args, const FreshPlace& place) {
  const AppendInput input{args.cache, args.k, args.v, args.numerics};
  const bool has_room = place.has_room(args);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  std::uint64_t key = find_fault(input, place.token);
  if (!has_room) key = min(key, FaultKey::pack(FaultCode::kRoom, place.token, 0, 0));
  if (lane == 0) record_fault(input, place.sequence, key);
  if (!has_room) return;
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

}  // namespace thriftattn::cuda
