// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which value of an append cannot be stored, as a number whose smallest one is the first value.
#pragma once

#include <cstdint>

#include "cuda/cache/append.h"
#include "numeric/bfloat16.h"
#include "numeric/half.h"

namespace thriftattn::cuda {

inline constexpr std::uint64_t kNoFault = ~std::uint64_t{0};

// code | token (31 bits) | kv head (21) | dim (8)
struct FaultKey {
  static __device__ std::uint64_t pack(FaultCode code, int token, int kv_head, int dim) {
    return static_cast<std::uint64_t>(code) << 60 | static_cast<std::uint64_t>(token) << 29 |
           static_cast<std::uint64_t>(kv_head) << 8 | static_cast<std::uint64_t>(dim);
  }
};

__device__ inline float load_element(const ConstTensorView& view, int token, int head, int dim) {
  const std::int64_t i = token * view.token_stride + head * view.head_stride + dim;
  if (view.dtype == DType::kF32) return static_cast<const float*>(view.data)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(view.data)[i];
  return view.dtype == DType::kF16 ? numeric::half_to_float(half_t{bits})
                                   : numeric::bfloat16_to_float(bits);
}

// The key of an element of K (code kKey) or V, kNoFault where it can be stored as half.
__device__ inline std::uint64_t check_element(const ConstTensorView& view, FaultCode code,
                                              int token, int head, int dim) {
  const float value = load_element(view, token, head, dim);
  return fabsf(value) < numeric::kHalfOverflow ? kNoFault : FaultKey::pack(code, token, head, dim);
}

// kNoFault where every block that `tokens` rows from `length` on touch has a page.
__device__ inline std::uint64_t check_room(const CacheView& view, const AppendEntry& entry,
                                           int length, int tokens) {
  const std::int64_t end = std::int64_t{length} + tokens;
  for (std::int64_t block = length / kBlockTokens; block * kBlockTokens < end; ++block) {
    if (block < view.max_blocks &&
        (block == entry.new_block || view.page(entry.sequence, static_cast<int>(block)) >= 0)) {
      continue;
    }
    return FaultKey::pack(FaultCode::kRoom, entry.begin, 0, 0);
  }
  return kNoFault;
}

// Keeps the first fault of a sequence.
__device__ inline void record_fault(const AppendArgs& args, int sequence, std::uint64_t key) {
  AppendFault& fault = args.view.faults[sequence];
  if (fault.code != FaultCode::kNone) return;
  fault.code = static_cast<FaultCode>(key >> 60);
  fault.token = static_cast<int>(key >> 29 & 0x7fffffffu);
  fault.kv_head = static_cast<int>(key >> 8 & 0x1fffffu);
  fault.dim = static_cast<int>(key & 0xffu);
  if (fault.code == FaultCode::kRoom) return;
  const ConstTensorView& view = fault.code == FaultCode::kKey ? args.k : args.v;
  fault.value = load_element(view, fault.token, fault.kv_head, fault.dim);
}

}  // namespace thriftattn::cuda
