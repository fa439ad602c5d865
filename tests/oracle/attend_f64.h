// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Attention in double precision: the definition that every kernel is held to, given what each block
// became (the trace of the call). Slow and plain on purpose.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "thriftattn/attention.h"

namespace thriftattn::oracle {

struct Problem {
  std::span<const double> q;  // [tokens, q_heads, head_dim]
  int q_heads = 0;
  std::span<const std::int64_t> q_offsets;  // [sequences + 1]
  double softmax_scale = 0;
  const KvSource* source = nullptr;
  // What low-tier scores use in place of q where not empty: q of mode kW4a4 is rounded too.
  std::span<const double> q_low = {};
  // Low-tier K counts as two operands, mean and residual, in score_abs and k_dots.
  bool separate_means = false;
};

// One visible key of one row.
struct Key {
  std::int64_t block = 0;
  int slot = 0;      // token inside the block
  double score = 0;  // softmax_scale * q . k
  // softmax_scale * sum of |q_d| |k_d| over all dots, what rounding errors are relative to.
  double score_abs = 0;
  const double* v = nullptr;      // [head_dim]
  const double* v_abs = nullptr;  // [head_dim], the magnitudes that v is added up from
  bool tail = false;              // counts in lse only
  double v_norm = 0;              // 2^exponent of a low-tier V's token; 0 in the high tier
  double nested_norm = 0;         // the same of a nested high tier's; 0 elsewhere
  int k_dots = 1;                 // dots that the score is the sum of: 2 where nested
  int v_dots = 1;
};

// One row: its keys in order of tokens, and the answer.
struct Row {
  std::int64_t token = 0;  // row of q
  int q_head = 0;
  std::vector<Key> keys;
  std::vector<double> weights;  // [keys], exp(score - lse)
  std::vector<double> masses;   // [blocks], sums of weights
  std::vector<double> out;      // [head_dim], zeros where no key is visible
  double lse = 0;               // -inf where no key is visible
  double mass_tail = 0;
};
using RowVisitor = std::function<void(const Row&)>;

// Visits every row of every unit of the trace, in order of the trace: logits and V of a block come
// from the high tier where its fate says so or where it is not sealed, else from the low tier. A
// nested high tier is the sum of low tile and residual.
void attend_f64(const Problem& problem, const AttendTrace& trace, const RowVisitor& visit);

// Plain attention over one sequence's rows as given: k, v [kv_len, kv_heads, head_dim], row i of q
// is token kv_len - q_len + i. No blocks, no tiers, no source.
struct OriginalSequence {
  std::span<const double> q, k, v;
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  double softmax_scale = 0;
};
void attend_f64_original(const OriginalSequence& sequence, const RowVisitor& visit);

}  // namespace thriftattn::oracle
