/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The C99 API of the CUDA backend: the verbs of thriftattn/cuda.h, where the semantics are written
 * down, in the manner of c_api.h, whose status codes, messages and tensors these calls share.
 *
 * Link thriftattn::cuda. Tensors lie in device memory. A stream is a cudaStream_t; NULL is the
 * legacy default stream. A cache must outlive its states and plans. */
#ifndef THRIFTATTN_C_API_CUDA_H
#define THRIFTATTN_C_API_CUDA_H

#include <stddef.h>
#include <stdint.h>

#include "thriftattn/c_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Devices ---- */

typedef struct thriftattn_cuda_device {
  size_t struct_size;
  char name[256];
  int32_t compute_major;
  int32_t compute_minor;
  int32_t multiprocessors;
  int32_t supported; /* bool; this build has kernels for it */
  int64_t memory_bytes;
} thriftattn_cuda_device;

void thriftattn_cuda_device_default(thriftattn_cuda_device* device, size_t struct_size);

/* THRIFTATTN_UNSUPPORTED where the machine has no driver that this build can use. */
thriftattn_status thriftattn_cuda_device_count(int32_t* count);
/* index: 0 .. count - 1. */
thriftattn_status thriftattn_cuda_device_info(int32_t index, thriftattn_cuda_device* device);

/* ---- Cache ---- */

/* Where the high tier of sealed blocks lives: rows, or residuals where it is nested. */
typedef enum thriftattn_residence {
  THRIFTATTN_RESIDENCE_DEVICE = 0,
  THRIFTATTN_RESIDENCE_PINNED_HOST = 1
} thriftattn_residence;

typedef struct thriftattn_cuda_cache_config {
  size_t struct_size;
  int32_t device;
  int32_t kv_heads;
  int32_t head_dim;       /* 64, 128 or 256 */
  int32_t max_sequences;  /* live at once */
  int64_t pages;          /* capacity: one page holds 64 tokens of every kv head */
  int64_t max_tokens;     /* of one sequence */
  int32_t scale_rule;     /* thriftattn_scale_rule */
  int32_t centre_k;       /* bool */
  int32_t token_norms;    /* bool */
  int32_t channel_bounds; /* bool; needed by THRIFTATTN_POLICY_QUEST */
  int32_t residence;      /* thriftattn_residence */
  int32_t high_tier;      /* thriftattn_high_tier */
} thriftattn_cuda_cache_config;

void thriftattn_cuda_cache_config_default(thriftattn_cuda_cache_config* config, size_t struct_size);

/* The KV cache of one layer on a device. */
typedef struct thriftattn_cuda_cache thriftattn_cuda_cache;

thriftattn_status thriftattn_cuda_cache_create(const thriftattn_cuda_cache_config* config,
                                               thriftattn_cuda_cache** cache);
void thriftattn_cuda_cache_free(thriftattn_cuda_cache* cache); /* NULL is fine */

thriftattn_status thriftattn_cuda_cache_add_sequence(thriftattn_cuda_cache* cache,
                                                     int32_t* sequence);
thriftattn_status thriftattn_cuda_cache_free_sequence(thriftattn_cuda_cache* cache,
                                                      int32_t sequence, void* stream);
thriftattn_status thriftattn_cuda_cache_length(const thriftattn_cuda_cache* cache, int32_t sequence,
                                               int64_t* tokens);
thriftattn_status thriftattn_cuda_cache_free_pages(const thriftattn_cuda_cache* cache,
                                                   int64_t* pages);
/* Device memory of both tiers and their tables. */
thriftattn_status thriftattn_cuda_cache_device_bytes(const thriftattn_cuda_cache* cache,
                                                     int64_t* bytes);

/* Enqueues what thriftattn_cache_append does. Values are checked on the device: synchronize tells.
 * offsets: [sequence_count + 1]. */
thriftattn_status thriftattn_cuda_cache_append(thriftattn_cuda_cache* cache,
                                               const int32_t* sequences, int64_t sequence_count,
                                               const int64_t* offsets,
                                               const thriftattn_const_tensor* k,
                                               const thriftattn_const_tensor* v, void* stream);
/* Room for `tokens` more tokens of each sequence: needed before a captured append is replayed. */
thriftattn_status thriftattn_cuda_cache_reserve(thriftattn_cuda_cache* cache,
                                                const int32_t* sequences, int64_t sequence_count,
                                                int64_t tokens, void* stream);
/* Waits for the stream. Fails where an append since the last call refused a value. */
thriftattn_status thriftattn_cuda_cache_synchronize(thriftattn_cuda_cache* cache, void* stream);

/* ---- Attention ---- */

/* What one decode step leaves for the next. */
typedef struct thriftattn_cuda_attend_state thriftattn_cuda_attend_state;

thriftattn_status thriftattn_cuda_attend_state_create(const thriftattn_cuda_cache* cache,
                                                      int32_t q_heads,
                                                      thriftattn_cuda_attend_state** state);
void thriftattn_cuda_attend_state_free(thriftattn_cuda_attend_state* state); /* NULL is fine */
/* The next call of this sequence starts from scratch. */
thriftattn_status thriftattn_cuda_attend_state_reset(thriftattn_cuda_attend_state* state,
                                                     int32_t sequence, void* stream);

/* Memory of calls up to a size. One call at a time may use it, or calls of one stream. */
typedef struct thriftattn_cuda_attend_plan thriftattn_cuda_attend_plan;

thriftattn_status thriftattn_cuda_attend_plan_create(const thriftattn_cuda_cache* cache,
                                                     int32_t q_heads, int32_t max_sequences,
                                                     int32_t max_q_len,
                                                     thriftattn_cuda_attend_plan** plan);
void thriftattn_cuda_attend_plan_free(thriftattn_cuda_attend_plan* plan); /* NULL is fine */
thriftattn_status thriftattn_cuda_attend_plan_device_bytes(const thriftattn_cuda_attend_plan* plan,
                                                           int64_t* bytes);

/* The length below which a step of `sequences` sequences is faster all in 16 bit than with blocks
   chosen, as measured on an H200: for crossover_tokens below. 0 where the high tier is nested or
   not on the device, and for less than one sequence. */
thriftattn_status thriftattn_cuda_crossover_tokens(const thriftattn_cuda_cache_config* config,
                                                   int64_t sequences, int64_t* tokens);

typedef struct thriftattn_cuda_attend_params {
  size_t struct_size;
  thriftattn_const_tensor q; /* device [tokens, q_heads, head_dim], F16 or BF16 */
  thriftattn_tensor out;     /* device [tokens, q_heads, head_dim] */
  float* lse;                /* device [tokens, q_heads], natural log; NULL = not written */
  const int32_t* sequences;  /* host [sequence_count]: whose rows q holds */
  const int64_t* q_offsets;  /* host [sequence_count + 1]; up to 16 rows a sequence */
  int64_t sequence_count;
  const thriftattn_selection* selection; /* NULL = the default */
  float softmax_scale;                   /* 0 = 1 / sqrt(head_dim) */
  int32_t refresh;                       /* bool; 0 = the state's sets are used and kept */
  int64_t crossover_tokens;              /* shorter sequences are computed in the high tier */
  thriftattn_cuda_attend_state* state;   /* read and written; NULL = from scratch */
  /* bool; 1 = with a state, V of the tail is left out even where telling it apart takes longer than
     reading it; 0 = tau counts as 0 there. */
  int32_t tail_always;
} thriftattn_cuda_attend_params;

void thriftattn_cuda_attend_params_default(thriftattn_cuda_attend_params* params,
                                           size_t struct_size);

/* Enqueues causal attention of the last tokens of each sequence. */
thriftattn_status thriftattn_cuda_attend(const thriftattn_cuda_cache* cache,
                                         thriftattn_cuda_attend_plan* plan,
                                         const thriftattn_cuda_attend_params* params, void* stream);

/* thriftattn_cuda_cache_append of the tokens that params->q belongs to, k and v device
 * [tokens of q, kv_heads, head_dim], and thriftattn_cuda_attend: what the two would give, for steps
 * of one token in less time. */
thriftattn_status thriftattn_cuda_append_and_attend(thriftattn_cuda_cache* cache,
                                                    thriftattn_cuda_attend_plan* plan,
                                                    const thriftattn_cuda_attend_params* params,
                                                    const thriftattn_const_tensor* k,
                                                    const thriftattn_const_tensor* v, void* stream);

/* Waits for the stream and adds what the plan's last call did to `report`. */
thriftattn_status thriftattn_cuda_report(const thriftattn_cuda_attend_plan* plan, void* stream,
                                         thriftattn_report* report);

#ifdef __cplusplus
}
#endif

#endif /* THRIFTATTN_C_API_CUDA_H */
