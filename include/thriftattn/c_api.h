/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The C99 API: the verbs of thriftattn/attention.h and kv_cache.h, where the semantics are written
 * down.
 *
 * Structs begin with struct_size and are filled by their _default function, so that a program built
 * against an older header keeps working. Every function may be called from several threads; one
 * cache must not be changed by one thread while another uses it. No exception leaves a call. */
#ifndef THRIFTATTN_C_API_H
#define THRIFTATTN_C_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when a program that was built against an older header would no longer work. */
#define THRIFTATTN_ABI_VERSION 1
int32_t thriftattn_abi_version(void);
const char* thriftattn_version(void); /* "0.1.0" */

typedef enum thriftattn_status {
  THRIFTATTN_OK = 0,
  THRIFTATTN_INVALID_ARGUMENT = 1,
  THRIFTATTN_UNSUPPORTED = 2,
  THRIFTATTN_OUT_OF_MEMORY = 3,
  THRIFTATTN_NOT_FOUND = 4,
  THRIFTATTN_INTERNAL = 5
} thriftattn_status;

/* What went wrong in the last failed call of this thread; valid until the next one fails. Never
 * NULL. */
const char* thriftattn_status_message(void);

typedef enum thriftattn_dtype {
  THRIFTATTN_F32 = 0,
  THRIFTATTN_F16 = 1,
  THRIFTATTN_BF16 = 2
} thriftattn_dtype;

/* A view [tokens, heads, dim]; dim is contiguous. Strides count elements; both 0 means packed rows.
 */
typedef struct thriftattn_tensor {
  void* data;
  int32_t dtype; /* thriftattn_dtype */
  int64_t tokens;
  int64_t heads;
  int64_t dim;
  int64_t token_stride;
  int64_t head_stride;
} thriftattn_tensor;

typedef struct thriftattn_const_tensor {
  const void* data;
  int32_t dtype; /* thriftattn_dtype */
  int64_t tokens;
  int64_t heads;
  int64_t dim;
  int64_t token_stride;
  int64_t head_stride;
} thriftattn_const_tensor;

/* Name of the instruction set in use, or NULL with a message where THRIFTATTN_ISA names none of
 * this CPU. */
const char* thriftattn_active_isa(void);

/* ---- Cache ---- */

typedef enum thriftattn_scale_rule {
  THRIFTATTN_SCALE_FOUR_OVER_SIX = 0,
  THRIFTATTN_SCALE_NEAREST = 1
} thriftattn_scale_rule;

typedef enum thriftattn_high_tier {
  THRIFTATTN_HIGH_ROWS16 = 0,
  THRIFTATTN_HIGH_NESTED = 1 /* FP4 of what the low tier leaves: less than half of the memory */
} thriftattn_high_tier;

typedef struct thriftattn_cache_config {
  size_t struct_size;
  int32_t kv_heads;
  int32_t head_dim; /* a multiple of 16 from 32 to 256 */
  int64_t pages;    /* capacity: one page holds 64 tokens of every kv head */
  int32_t scale_rule;
  int32_t centre_k;       /* bool */
  int32_t token_norms;    /* bool */
  int32_t channel_bounds; /* bool; needed by THRIFTATTN_POLICY_QUEST */
  int32_t high_tier;      /* thriftattn_high_tier */
} thriftattn_cache_config;

/* Pass sizeof(*config): no more than that is written. */
void thriftattn_cache_config_default(thriftattn_cache_config* config, size_t struct_size);

/* The KV cache of one layer. */
typedef struct thriftattn_cache thriftattn_cache;

thriftattn_status thriftattn_cache_create(const thriftattn_cache_config* config,
                                          thriftattn_cache** cache);
void thriftattn_cache_free(thriftattn_cache* cache); /* NULL is fine */

thriftattn_status thriftattn_cache_add_sequence(thriftattn_cache* cache, int32_t* sequence);
thriftattn_status thriftattn_cache_free_sequence(thriftattn_cache* cache, int32_t sequence);
thriftattn_status thriftattn_cache_length(const thriftattn_cache* cache, int32_t sequence,
                                          int64_t* tokens);
thriftattn_status thriftattn_cache_free_pages(const thriftattn_cache* cache, int64_t* pages);
/* Bytes allocated for tiles, residuals, summaries and rows. */
thriftattn_status thriftattn_cache_memory_bytes(const thriftattn_cache* cache, int64_t* bytes);

/* Appends rows offsets[i] .. offsets[i + 1] of k and v [tokens, kv_heads, head_dim] to
 * sequences[i]. All or nothing. offsets: [sequence_count + 1]. */
thriftattn_status thriftattn_cache_append(thriftattn_cache* cache, const int32_t* sequences,
                                          int64_t sequence_count, const int64_t* offsets,
                                          const thriftattn_const_tensor* k,
                                          const thriftattn_const_tensor* v);

/* ---- Attention ---- */

typedef enum thriftattn_policy {
  THRIFTATTN_POLICY_FP4_MASS = 0,
  THRIFTATTN_POLICY_BLOCK_MEAN = 1,
  THRIFTATTN_POLICY_QUEST = 2,
  THRIFTATTN_POLICY_LOCAL = 3,
  THRIFTATTN_POLICY_RANDOM = 4
} thriftattn_policy;

typedef enum thriftattn_budget_kind {
  THRIFTATTN_BUDGET_FRACTION = 0,
  THRIFTATTN_BUDGET_COUNT = 1,
  THRIFTATTN_BUDGET_MASS = 2,
  THRIFTATTN_BUDGET_ALL = 3
} thriftattn_budget_kind;

typedef enum thriftattn_unit {
  THRIFTATTN_UNIT_AUTO = 0,
  THRIFTATTN_UNIT_TOKEN = 1,
  THRIFTATTN_UNIT_TOKEN_PER_Q_HEAD = 2,
  THRIFTATTN_UNIT_TILE = 3
} thriftattn_unit;

typedef enum thriftattn_mode { THRIFTATTN_MODE_KV4 = 0, THRIFTATTN_MODE_W4A4 = 1 } thriftattn_mode;

/* What is promoted: thriftattn/selection.h. */
typedef struct thriftattn_selection {
  size_t struct_size;
  int32_t policy;
  int32_t budget_kind;
  double budget;
  double k_share;
  double v_share;
  double tau;
  int32_t force_sink; /* bool */
  int32_t force_own;  /* bool */
  int32_t unit;
  uint64_t seed;
} thriftattn_selection;

void thriftattn_selection_default(thriftattn_selection* selection, size_t struct_size);
/* 16-bit attention. */
void thriftattn_selection_exact(thriftattn_selection* selection, size_t struct_size);
/* The published method. */
void thriftattn_selection_paper(thriftattn_selection* selection, size_t struct_size);

/* Sums over the selection units of a call: AttendReport of thriftattn/attention.h. */
typedef struct thriftattn_report {
  size_t struct_size;
  int64_t rows;
  int64_t units;
  int64_t blocks;
  int64_t forced;
  int64_t promoted_k;
  int64_t promoted_v;
  int64_t tail;
  double mass_covered;
  double mass_tail;
  int64_t bytes_low;
  int64_t bytes_high;
} thriftattn_report;

/* All zeros: calls add to it. */
void thriftattn_report_default(thriftattn_report* report, size_t struct_size);

/* Sleeping worker threads; `threads` includes the caller, 0 = one per CPU. One call at a time may
 * use it. */
typedef struct thriftattn_thread_pool thriftattn_thread_pool;
thriftattn_status thriftattn_thread_pool_create(int32_t threads, thriftattn_thread_pool** pool);
void thriftattn_thread_pool_free(thriftattn_thread_pool* pool); /* NULL is fine */

typedef struct thriftattn_attend_params {
  size_t struct_size;
  thriftattn_const_tensor q; /* [tokens, q_heads, head_dim] */
  thriftattn_tensor out;     /* [tokens, q_heads, head_dim] */
  float* lse;                /* [tokens, q_heads], natural log; NULL = not written */
  const int32_t* sequences;  /* [sequence_count]: whose rows q holds */
  const int64_t* q_offsets;  /* [sequence_count + 1]: rows of sequence i in q */
  int64_t sequence_count;
  const thriftattn_selection* selection; /* NULL = the default */
  float softmax_scale;                   /* 0 = 1 / sqrt(head_dim) */
  int32_t mode;                          /* thriftattn_mode */
  int64_t crossover_tokens;
  int32_t split_blocks;
  thriftattn_thread_pool* threads; /* NULL = the calling thread */
  thriftattn_report* report;       /* added to; NULL = none */
} thriftattn_attend_params;

void thriftattn_attend_params_default(thriftattn_attend_params* params, size_t struct_size);

/* Causal attention of the last tokens of each sequence. Writes nothing on failure. */
thriftattn_status thriftattn_attend(const thriftattn_cache* cache,
                                    const thriftattn_attend_params* params);

#ifdef __cplusplus
}
#endif

#endif /* THRIFTATTN_C_API_H */
