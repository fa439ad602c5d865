// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which value of an append cannot be stored, as a number whose smallest one is the first value.
#pragma once

#include <cstdint>

#include "cuda/cache/append.h"
#include "cuda/cache/input.cuh"

namespace thriftattn::cuda {

inline constexpr std::uint64_t kNoFault = ~std::uint64_t{0};

// code | token (31 bits) | kv head (21) | dim (8)
struct FaultKey {
  static __device__ std::uint64_t pack(FaultCode code, int token, int kv_head, int dim) {
    return static_cast<std::uint64_t>(code) << 60 | static_cast<std::uint64_t>(token) << 29 |
           static_cast<std::uint64_t>(kv_head) << 8 | static_cast<std::uint64_t>(dim);
  }
};

// kNoFault where every block that `tokens` rows from `length` on touch has a page.
__device__ inline std::uint64_t check_room(const CacheView& view, const AppendEntry& entry,
                                           int length, int tokens) {
  const std::int64_t end = std::int64_t{length} + tokens;
  for (std::int64_t block = length / kBlockTokens; block * kBlockTokens < end; ++block) {
    if (entry.new_page.has_room(view, entry.sequence, static_cast<int>(block))) continue;
    return FaultKey::pack(FaultCode::kRoom, entry.begin, 0, 0);
  }
  return kNoFault;
}

// Smallest key of a token's values, of K first. A warp calls it; all lanes get it.
__device__ inline std::uint64_t find_fault(const AppendInput& args, int token) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int head_dim = args.view.head_dim;
  std::uint64_t key = kNoFault;
#pragma unroll 1
  for (const FaultCode code : {FaultCode::kKey, FaultCode::kValue}) {
    with_rows(code == FaultCode::kKey ? args.k : args.v, [&](auto rows) {
#pragma unroll 1
      for (int i = lane; i < args.view.kv_heads * head_dim; i += 32) {
        const int head = i / head_dim;
        const int dim = i % head_dim;
        if (rows.can_be_stored(rows.at(token, head, dim))) continue;
        key = min(key, FaultKey::pack(code, token, head, dim));
      }
    });
  }
#pragma unroll 1
  for (int d = 16; d > 0; d /= 2) key = min(key, __shfl_xor_sync(~0u, key, d));
  return key;
}

// Keeps the first fault of a sequence.
__device__ inline void record_fault(const AppendInput& args, int sequence, std::uint64_t key) {
  AppendFault& fault = args.view.faults[sequence];
  if (fault.code != FaultCode::kNone) return;
  fault.code = static_cast<FaultCode>(key >> 60);
  fault.token = static_cast<int>(key >> 29 & 0x7fffffffu);
  fault.kv_head = static_cast<int>(key >> 8 & 0x1fffffu);
  fault.dim = static_cast<int>(key & 0xffu);
  if (fault.code == FaultCode::kRoom) return;
  fault.value = with_rows(fault.code == FaultCode::kKey ? args.k : args.v, [&](auto rows) {
    return rows.value(rows.at(fault.token, fault.kv_head, fault.dim));
  });
}

}  // namespace thriftattn::cuda
