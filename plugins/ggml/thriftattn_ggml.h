// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How a host program steers the loaded module: functions found with
// ggml_backend_reg_get_proc_address(reg, name). Everybody else uses the environment
// (docs/llama-cpp.md).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Values of the enums are those of thriftattn/selection.h, attention.h and formats.h.
struct thriftattn_ggml_options {
  size_t struct_size;   // sizeof(struct thriftattn_ggml_options)
  bool exact;           // 16-bit attention, no FP4 at all
  int32_t mode;         // ComputeMode: 0 kv4, 1 w4a4
  int32_t policy;       // Policy
  int32_t unit;         // SelectionUnit
  int32_t budget_kind;  // Budget::Kind
  double budget;        // Budget::value
  double k_share, v_share;
  double tau;
  bool force_sink, force_own;
  bool seal_own;  // quantise the newest, even partly filled block too (public kernels' plain FP4)
  // Numerics of FP4 blocks. Fixed for a cache when its first attention runs.
  int32_t scale_rule;  // ScaleRule
  bool centre_k, token_norms;
  int64_t crossover_tokens;    // below: everything in 16 bit
  int64_t short_cache_tokens;  // caches of at most this capacity (sliding windows) stay 16 bit
  int32_t split_blocks;
  uint64_t seed;
  bool verify;  // quantise every tile again at each attention and compare (proof of coherence)
  // HighTier: what promoted sealed blocks are computed from. The module keeps the 16-bit rows
  // either way: 1 (nested) is for evaluating what a cache without them would give. Fixed as the
  // numerics.
  int32_t high_tier;
  // 1: each token takes the sets that the token before it chose, as a device that carries its sets
  // does. For evaluating that: every attention is computed twice. Needs unit token, or a q head's.
  int32_t set_lag;
};

struct thriftattn_ggml_stats {
  size_t struct_size;
  int64_t attention_calls, exact_calls, set_rows, rope, cpy;
  int64_t sealed_blocks, verified_blocks, stale_blocks;
  // AttendReport of the calls in FP4, added up.
  int64_t rows, units, blocks, forced, promoted_k, promoted_v, tail, bytes_low, bytes_high;
  double mass_covered, mass_tail;
  double attention_seconds;  // wall time inside FLASH_ATTN_EXT
  int64_t low_bytes_total,
      high_bytes_total;  // memory of the FP4 tiles and of the 16-bit caches behind them
};

// "thriftattn_get_options", "thriftattn_set_options": process-wide, read at the start of each
// attention call. set returns NULL, or a message that says what is wrong (valid until the next
// call); nothing changes then.
typedef void (*thriftattn_get_options_t)(struct thriftattn_ggml_options* options);
typedef const char* (*thriftattn_set_options_t)(const struct thriftattn_ggml_options* options);
// "thriftattn_get_stats", "thriftattn_reset_stats".
typedef void (*thriftattn_get_stats_t)(struct thriftattn_ggml_stats* stats);
typedef void (*thriftattn_reset_stats_t)(void);

#ifdef __cplusplus
}
#endif
