/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 * The C API: 1024 tokens into a cache, then one query token, in FP4 with promoted blocks and in 16
 * bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "thriftattn/c_api.h"

enum { kTokens = 1024, kQHeads = 4, kKvHeads = 2, kHeadDim = 64 };

static float k[kTokens * kKvHeads * kHeadDim], v[kTokens * kKvHeads * kHeadDim];
static float q[kQHeads * kHeadDim], thrift[kQHeads * kHeadDim], exact[kQHeads * kHeadDim];

static void check(thriftattn_status status) {
  if (status == THRIFTATTN_OK) return;
  fprintf(stderr, "thriftattn: %s\n", thriftattn_status_message());
  exit(1);
}

/* Uniform in -1 .. 1. */
static void fill(float* x, int n, uint32_t state) {
  for (int i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)(state >> 8) / (float)(1 << 23) - 1.0f;
  }
}

static thriftattn_cache* filled_cache(int32_t* sequence) {
  thriftattn_cache_config config;
  thriftattn_cache_config_default(&config, sizeof config);
  config.kv_heads = kKvHeads;
  config.head_dim = kHeadDim;
  config.pages = kTokens / 64;
  thriftattn_cache* cache = NULL;
  check(thriftattn_cache_create(&config, &cache));
  check(thriftattn_cache_add_sequence(cache, sequence));
  const int64_t offsets[] = {0, kTokens};
  const thriftattn_const_tensor keys = {k, THRIFTATTN_F32, kTokens, kKvHeads, kHeadDim, 0, 0};
  const thriftattn_const_tensor values = {v, THRIFTATTN_F32, kTokens, kKvHeads, kHeadDim, 0, 0};
  check(thriftattn_cache_append(cache, sequence, 1, offsets, &keys, &values));
  return cache;
}

int main(void) {
  fill(k, kTokens * kKvHeads * kHeadDim, 1);
  fill(v, kTokens * kKvHeads * kHeadDim, 2);
  fill(q, kQHeads * kHeadDim, 3);
  int32_t sequence = 0;
  thriftattn_cache* cache = filled_cache(&sequence);

  const int64_t offsets[] = {0, 1};
  thriftattn_report report;
  thriftattn_report_default(&report, sizeof report);
  thriftattn_selection selection;
  thriftattn_selection_exact(&selection, sizeof selection);
  thriftattn_attend_params params;
  thriftattn_attend_params_default(&params, sizeof params);
  params.q = (thriftattn_const_tensor){q, THRIFTATTN_F32, 1, kQHeads, kHeadDim, 0, 0};
  params.out = (thriftattn_tensor){thrift, THRIFTATTN_F32, 1, kQHeads, kHeadDim, 0, 0};
  params.sequences = &sequence;
  params.q_offsets = offsets;
  params.sequence_count = 1;
  params.report = &report;
  check(thriftattn_attend(cache, &params));
  params.selection = &selection;
  params.out.data = exact;
  params.report = NULL;
  check(thriftattn_attend(cache, &params));
  thriftattn_cache_free(cache);

  float error = 0;
  for (int i = 0; i < kQHeads * kHeadDim; ++i) error = fmaxf(error, fabsf(thrift[i] - exact[i]));
  printf("largest error %.5f, %lld of %lld blocks forced or promoted\n", error,
         (long long)(report.forced + report.promoted_k), (long long)report.blocks);
  return error > 0 && error < 0.05f ? 0 : 1;
}
