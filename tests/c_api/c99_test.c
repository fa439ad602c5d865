/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 * The C API from C99: every function once, two sequences, half and bfloat16 in and out. */
#include <stdio.h>
#include <string.h>

#include "thriftattn/c_api.h"

enum { kTokens = 3, kHeads = 1, kHeadDim = 32 };

static int failures = 0;

#define EXPECT(condition)                                                                       \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      ++failures;                                                                               \
      fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, thriftattn_status_message()); \
    }                                                                                           \
  } while (0)

static thriftattn_cache* make_cache(void) {
  thriftattn_cache_config config;
  thriftattn_cache* cache = NULL;
  thriftattn_cache_config_default(&config, sizeof config);
  EXPECT(config.struct_size == sizeof config && config.centre_k && config.token_norms);
  config.kv_heads = kHeads;
  config.head_dim = kHeadDim;
  config.pages = 2;
  EXPECT(thriftattn_cache_create(&config, &cache) == THRIFTATTN_OK);
  return cache;
}

/* Two tokens of the first sequence hold 1 in v, the one of the second holds 2: means are 1 and 2.
 */
static void append(thriftattn_cache* cache, const int32_t* sequences) {
  static uint16_t k[kTokens * kHeadDim]; /* zeros: every token weighs the same */
  static uint16_t v[kTokens * kHeadDim];
  const int64_t offsets[3] = {0, 2, 3};
  thriftattn_const_tensor keys = {k, THRIFTATTN_F16, kTokens, kHeads, kHeadDim, 0, 0};
  thriftattn_const_tensor values = {v, THRIFTATTN_BF16, kTokens, kHeads, kHeadDim, 0, 0};
  int i;
  for (i = 0; i < kTokens * kHeadDim; ++i) v[i] = i < 2 * kHeadDim ? 0x3f80 : 0x4000;
  EXPECT(thriftattn_cache_append(cache, sequences, 2, offsets, &keys, &values) == THRIFTATTN_OK);
}

static void attend(const thriftattn_cache* cache, const int32_t* sequences) {
  static float q[2 * kHeadDim];
  static float out[2 * kHeadDim];
  float lse[2] = {-1, -1};
  const int64_t offsets[3] = {0, 1, 2};
  thriftattn_thread_pool* threads = NULL;
  thriftattn_report report;
  thriftattn_selection selection;
  thriftattn_attend_params params;
  EXPECT(thriftattn_thread_pool_create(2, &threads) == THRIFTATTN_OK);
  thriftattn_report_default(&report, sizeof report);
  thriftattn_selection_paper(&selection, sizeof selection);
  EXPECT(selection.policy == THRIFTATTN_POLICY_BLOCK_MEAN && selection.tau == 0);
  thriftattn_attend_params_default(&params, sizeof params);
  params.q.data = q;
  params.q.dtype = THRIFTATTN_F32;
  params.q.tokens = 2;
  params.q.heads = kHeads;
  params.q.dim = kHeadDim;
  params.out.data = out;
  params.out.dtype = THRIFTATTN_F32;
  params.out.tokens = 2;
  params.out.heads = kHeads;
  params.out.dim = kHeadDim;
  params.lse = lse;
  params.sequences = sequences;
  params.q_offsets = offsets;
  params.sequence_count = 2;
  params.selection = &selection;
  params.threads = threads;
  params.report = &report;
  EXPECT(thriftattn_attend(cache, &params) == THRIFTATTN_OK);
  EXPECT(out[0] == 1.0f && out[kHeadDim - 1] == 1.0f);
  EXPECT(out[kHeadDim] == 2.0f && out[2 * kHeadDim - 1] == 2.0f);
  EXPECT(lse[0] > 0.693f && lse[0] < 0.694f && lse[1] == 0.0f);
  EXPECT(report.rows == 2 && report.units == 2 && report.blocks == 2);
  thriftattn_thread_pool_free(threads);
}

int main(void) {
  int32_t sequences[2] = {-1, -1};
  int64_t count = 0;
  thriftattn_cache* cache = make_cache();
  EXPECT(thriftattn_abi_version() == THRIFTATTN_ABI_VERSION);
  EXPECT(strlen(thriftattn_version()) >= 5);
  EXPECT(thriftattn_active_isa() != NULL);
  EXPECT(thriftattn_cache_add_sequence(cache, &sequences[0]) == THRIFTATTN_OK);
  EXPECT(thriftattn_cache_add_sequence(cache, &sequences[1]) == THRIFTATTN_OK);
  append(cache, sequences);
  EXPECT(thriftattn_cache_length(cache, sequences[0], &count) == THRIFTATTN_OK && count == 2);
  attend(cache, sequences);
  EXPECT(thriftattn_cache_free_sequence(cache, sequences[0]) == THRIFTATTN_OK);
  EXPECT(thriftattn_cache_free_pages(cache, &count) == THRIFTATTN_OK && count == 1);
  EXPECT(thriftattn_cache_memory_bytes(cache, &count) == THRIFTATTN_OK && count > 0);
  EXPECT(thriftattn_cache_length(cache, sequences[0], &count) == THRIFTATTN_NOT_FOUND);
  EXPECT(strlen(thriftattn_status_message()) > 0);
  thriftattn_cache_free(cache);
  return failures == 0 ? 0 : 1;
}
