// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The device's side of a CudaKvCache as kernels see it; passed to them by value.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/common/tile_layout.h"
#include "numeric/host_device.h"

namespace thriftattn::cuda {

// Why the device refused an append.
enum class FaultCode : std::uint32_t {
  kNone = 0,
  kKey = 1,    // a value of K cannot be stored
  kValue = 2,  // a value of V
  kRoom = 3,   // a replayed append found no page
};

// The first append that a sequence refused, and the first value there: K before V, then in order of
// token, kv head and dim. Zeros = none so far.
struct AppendFault {
  FaultCode code = FaultCode::kNone;
  std::int32_t token = 0;  // of the refused call
  std::int32_t kv_head = 0;
  std::int32_t dim = 0;
  float value = 0;
};

struct CacheView {
  int kv_heads = 0;
  int head_dim = 0;
  int max_blocks = 0;  // of a sequence

  std::byte* low_k = nullptr;  // [pages, kv_heads, k_bytes]
  std::byte* low_v = nullptr;  // [pages, kv_heads, v_bytes]
  // 16-bit rows [pages, kv_heads, high_bytes], maybe in pinned host memory. Nested, those of open
  // blocks alone: [sequences, kv_heads, high_bytes].
  std::byte* high_k = nullptr;
  std::byte* high_v = nullptr;
  // [pages, kv_heads, residual_bytes], maybe in pinned host memory; nullptr where not nested.
  std::byte* residual_k = nullptr;
  std::byte* residual_v = nullptr;
  half_t* block_mean = nullptr;  // [pages, kv_heads, head_dim], mean of K
  float* k_min = nullptr;        // [pages, kv_heads, head_dim], nullptr where not asked for
  float* k_max = nullptr;

  std::int32_t* block_table = nullptr;  // [sequences, max_blocks], physical pages, -1 = none
  std::int32_t* lengths = nullptr;      // [sequences], tokens
  AppendFault* faults = nullptr;        // [sequences]

  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::size_t cell(int page, int kv_head) const {
    return static_cast<std::size_t>(page) * kv_heads + kv_head;
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE bool nested() const { return residual_k != nullptr; }
  // Of the rows of a sequence's block that lies on this page; nested, of its open block.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE std::size_t rows_cell(int sequence, int page,
                                                             int kv_head) const {
    return cell(nested() ? sequence : page, kv_head);
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE int page(int sequence, int block) const {
    return block_table[static_cast<std::size_t>(sequence) * max_blocks + block];
  }
};

// A block of a sequence that gets its page in this call: the block table shows it afterwards.
struct NewPage {
  std::int32_t block = -1;  // none
  std::int32_t page = -1;

  [[nodiscard]] THRIFTATTN_HOST_DEVICE int page_of(const CacheView& view, int sequence,
                                                   int at) const {
    return at == block ? page : view.page(sequence, at);
  }
  // Whether a token may go to this block.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE bool has_room(const CacheView& view, int sequence,
                                                     int at) const {
    return at < view.max_blocks && page_of(view, sequence, at) >= 0;
  }
  // Into the sequence's block table, if there is one.
  THRIFTATTN_HOST_DEVICE void enter(const CacheView& view, int sequence) const {
    if (block < 0) return;
    view.block_table[static_cast<std::size_t>(sequence) * view.max_blocks + block] = page;
  }
};

}  // namespace thriftattn::cuda
