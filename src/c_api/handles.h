// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The opaque types of the C API, and its views as C++ views.
#pragma once

#include <memory>
#include <span>

#include "c_api/guard.h"
#include "thriftattn/executor.h"
#include "thriftattn/kv_cache.h"
#include "thriftattn/tensor.h"

struct thriftattn_cache {
  thriftattn::PagedKvCache cache;
};

struct thriftattn_thread_pool {
  std::unique_ptr<thriftattn::Executor> executor;
};

namespace thriftattn::c_api {

inline constexpr std::int32_t kDTypes = 3;

inline Status check_sequences(const std::int32_t* sequences, std::int64_t count) {
  constexpr std::int64_t kMaxSequences = std::int64_t{1} << 31;
  if (count < 1 || count >= kMaxSequences) {
    return invalid_argument("sequence_count " + std::to_string(count) + ": supported 1 to " +
                            std::to_string(kMaxSequences - 1));
  }
  return sequences == nullptr ? invalid_argument("sequences is NULL") : Status();
}
// The arrays that say whose rows a call holds: sequences [count], offsets [count + 1].
inline Status check_sequences(const std::int32_t* sequences, std::int64_t count,
                              const std::int64_t* offsets) {
  Status status = check_sequences(sequences, count);
  return status.ok() && offsets == nullptr ? invalid_argument("offsets is NULL") : status;
}

// C is thriftattn_tensor or thriftattn_const_tensor, View the C++ view of the same constness.
template <class View, class C>
Status read_tensor(const C& in, const char* name, View* out) {
  Status status = check_enum(name, in.dtype, kDTypes);
  if (!status.ok()) return status;
  *out = {in.data,       static_cast<DType>(in.dtype), in.tokens, in.heads, in.dim, in.token_stride,
          in.head_stride};
  if (in.token_stride == 0 && in.head_stride == 0) {
    out->head_stride = in.dim;
    if (__builtin_mul_overflow(in.heads, in.dim, &out->token_stride)) {
      return invalid_argument(std::string(name) + ": heads x dim is beyond 64 bits");
    }
  }
  return {};
}

// Everything of an append but the cache.
struct AppendRows {
  std::span<const SequenceId> sequences;
  std::span<const std::int64_t> offsets;
  ConstTensorView k;
  ConstTensorView v;
};
inline Status read_append(const std::int32_t* sequences, std::int64_t count,
                          const std::int64_t* offsets, const thriftattn_const_tensor& k,
                          const thriftattn_const_tensor& v, AppendRows* out) {
  Status status = check_sequences(sequences, count, offsets);
  if (status.ok()) status = read_tensor(k, "k.dtype", &out->k);
  if (status.ok()) status = read_tensor(v, "v.dtype", &out->v);
  if (!status.ok()) return status;
  const auto size = static_cast<std::size_t>(count);
  out->sequences = {sequences, size};
  out->offsets = {offsets, size + 1};
  return {};
}

}  // namespace thriftattn::c_api
