// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Attention over a two-tier KV cache: every block is scored in FP4, the few that carry the mass are
// computed again from 16 bit, and what carries none is not read.
//
//   1 score    q K of every sealed visible block from the low tier
//   2 select   masses -> blocks with K promoted, blocks with V promoted, tail
//   3 rescore  q K of the promoted blocks from the high tier
//   4 value    one pass of P V, each block in its tier, the tail not read
//
// A high tier is 16-bit rows, or nested: q k = q k_low + q k_residual, p v = p v_low + p
// v_residual. Definition: logits blended by tier; p = softmax over everything visible; out = sum
// over blocks outside the tail of p v, divided by their p; lse over everything. Results do not
// depend on threads, company in the batch, page order or ISA, bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "thriftattn/executor.h"
#include "thriftattn/kv_cache.h"
#include "thriftattn/kv_source.h"
#include "thriftattn/selection.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn {

enum class ComputeMode : std::uint8_t {
  kKv4,   // K and V are FP4 in the low tier; q and P stay fp32
  kW4a4,  // q and P go through NVFP4 too where the low tier is used (the paper's prefill)
};

// Sums over the selection units of a call (or of many calls: += adds them).
struct AttendReport {
  std::int64_t rows = 0;        // query rows: tokens x q heads
  std::int64_t units = 0;       // row sets that selected together
  std::int64_t blocks = 0;      // (unit, visible block) pairs
  std::int64_t forced = 0;      // ... computed in the high tier without asking
  std::int64_t promoted_k = 0;  // ... chosen: K from the high tier
  std::int64_t promoted_v = 0;  // ... chosen: V from the high tier
  std::int64_t tail = 0;        // ... whose V was not read
  double mass_covered = 0;      // softmax mass of forced and K-promoted blocks, summed over rows
  double mass_tail = 0;         // softmax mass dropped with the tail, summed over rows
  // Read once per unit. Of a nested high tier the residual counts as high and its low part as low.
  std::int64_t bytes_low = 0;
  std::int64_t bytes_high = 0;

  AttendReport& operator+=(const AttendReport& other);
  // Promoted K and V as a share of the unforced blocks' K and V.
  [[nodiscard]] double promoted_share() const;
  [[nodiscard]] double forced_share() const;  // of all visible blocks
  [[nodiscard]] double tail_share() const;    // of all visible blocks
};

// Bits of a block's fate in a unit.
enum BlockFate : std::uint8_t {
  kFateVisible = 1,
  kFateForced = 2,  // K and V from the high tier
  kFatePromotedK = 4,
  kFatePromotedV = 8,
  kFateTail = 16,  // V not read
};

// Which rows selected together, and what became of each block.
struct UnitTrace {
  int sequence = 0;
  int kv_head = 0;
  int first_q_head = 0;
  int q_heads = 0;
  std::int64_t first_token = 0;  // of this call's rows of the sequence
  std::int64_t tokens = 0;
  std::vector<std::uint8_t> fate;  // [blocks], BlockFate bits
};
using AttendTrace = std::vector<UnitTrace>;

struct AttendOptions {
  float softmax_scale = 0.0f;  // 0 means 1 / sqrt(head_dim)
  ComputeMode mode = ComputeMode::kKv4;
  Selection selection;
  // Of q and P in kW4a4: scale_rule, and centre_k says whether a tile's q is centred too.
  Numerics numerics;
  // Units that see fewer tokens than this are computed wholly in the high tier, no tail. 0 = never.
  std::int64_t crossover_tokens = 0;
  // Blocks of a split: partial results are merged in order of splits. Changes the last bits only.
  int split_blocks = 16;
  const AttendTrace* replay =
      nullptr;  // take the fates from here (same units) instead of selecting
};

struct AttendParams {
  ConstTensorView q;     // [tokens, q_heads, head_dim], F32, F16 or BF16
  TensorView out;        // [tokens, q_heads, head_dim]
  float* lse = nullptr;  // [tokens, q_heads], natural log; nullptr = not written
  std::span<const SequenceId> sequences = {};    // whose rows q holds
  std::span<const std::int64_t> q_offsets = {};  // [sequences + 1]; rows of sequence i in q
  AttendOptions options;
  Executor* executor = nullptr;    // nullptr = the calling thread
  AttendReport* report = nullptr;  // added to
  AttendTrace* trace = nullptr;    // appended to, in order of (sequence, kv head, token, q head)
};

// Causal attention of the last tokens of each sequence: row i of sequence s is its token
// length - q_len + i, which must have been appended. A non-finite q spoils its own row only.
// Fails with kInvalidArgument on shapes, sequences or options that make no sense; writes nothing
// then.
Status attend(const AttendParams& params, const PagedKvCache& cache);

// The same over any source; params.sequences is not used, visibility is the source's.
Status attend(const AttendParams& params, const KvSource& source);

}  // namespace thriftattn
