/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 * The C API on a CUDA device: a prompt of 4096 tokens into a cache, then decode steps that append a
 * token each and attend from it. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>

#include "thriftattn/c_api_cuda.h"

enum { kTokens = 4096, kSteps = 100, kQHeads = 8, kKvHeads = 2, kHeadDim = 128 };
enum { kRows = kTokens * kKvHeads * kHeadDim, kQuery = kQHeads * kHeadDim };

static void check(thriftattn_status status) {
  if (status == THRIFTATTN_OK) return;
  fprintf(stderr, "thriftattn: %s\n", thriftattn_status_message());
  exit(1);
}

/* n BF16 values on the device, of either sign and of size 0.5 to 1. */
static void* random_bf16(int n, uint32_t state) {
  uint16_t* host = malloc((size_t)n * sizeof *host);
  void* device = NULL;
  if (host == NULL || cudaMalloc(&device, (size_t)n * sizeof *host) != cudaSuccess) exit(1);
  for (int i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    host[i] = (uint16_t)(0x3f00u | (state >> 31 << 15) | (state >> 20 & 0x7fu));
  }
  if (cudaMemcpy(device, host, (size_t)n * sizeof *host, cudaMemcpyHostToDevice)) exit(1);
  free(host);
  return device;
}

int main(void) {
  int32_t devices = 0, sequence = 0;
  if (thriftattn_cuda_device_count(&devices) != THRIFTATTN_OK || devices == 0) {
    printf("no CUDA device, nothing done. %s\n", thriftattn_status_message());
    return 0;
  }
  thriftattn_cuda_cache_config config;
  thriftattn_cuda_cache_config_default(&config, sizeof config);
  config.kv_heads = kKvHeads;
  config.head_dim = kHeadDim;
  config.pages = (kTokens + kSteps + 63) / 64;
  thriftattn_cuda_cache* cache = NULL;
  check(thriftattn_cuda_cache_create(&config, &cache));
  check(thriftattn_cuda_cache_add_sequence(cache, &sequence));
  const int64_t offsets[] = {0, kTokens}, q_offsets[] = {0, 1};
  void *k = random_bf16(kRows, 1), *v = random_bf16(kRows, 2), *q = random_bf16(kQuery, 3);
  void* out = random_bf16(kQuery, 4);
  const thriftattn_const_tensor keys = {k, THRIFTATTN_BF16, kTokens, kKvHeads, kHeadDim, 0, 0};
  const thriftattn_const_tensor values = {v, THRIFTATTN_BF16, kTokens, kKvHeads, kHeadDim, 0, 0};
  check(thriftattn_cuda_cache_append(cache, &sequence, 1, offsets, &keys, &values, NULL));
  check(thriftattn_cuda_cache_synchronize(cache, NULL));

  thriftattn_cuda_attend_plan* plan = NULL;
  thriftattn_cuda_attend_state* state = NULL; /* of one layer: sets that the next step reads */
  check(thriftattn_cuda_attend_plan_create(cache, kQHeads, 1, 1, &plan));
  check(thriftattn_cuda_attend_state_create(cache, kQHeads, &state));
  thriftattn_cuda_attend_params params;
  thriftattn_cuda_attend_params_default(&params, sizeof params);
  params.q = (thriftattn_const_tensor){q, THRIFTATTN_BF16, 1, kQHeads, kHeadDim, 0, 0};
  params.out = (thriftattn_tensor){out, THRIFTATTN_BF16, 1, kQHeads, kHeadDim, 0, 0};
  params.sequences = &sequence;
  params.q_offsets = q_offsets;
  params.sequence_count = 1;
  params.state = state;
  thriftattn_const_tensor key = {k, THRIFTATTN_BF16, 1, kKvHeads, kHeadDim, 0, 0};
  thriftattn_const_tensor value = {v, THRIFTATTN_BF16, 1, kKvHeads, kHeadDim, 0, 0};
  for (int step = 0; step < kSteps; ++step) {
    /* Here q, k and v of the new token would come from the model. */
    check(thriftattn_cuda_append_and_attend(cache, plan, &params, &key, &value, NULL));
  }
  check(thriftattn_cuda_cache_synchronize(cache, NULL));
  thriftattn_report report;
  thriftattn_report_default(&report, sizeof report);
  check(thriftattn_cuda_report(plan, NULL, &report));
  int64_t tokens = 0;
  check(thriftattn_cuda_cache_length(cache, sequence, &tokens));
  printf("%lld tokens: %lld of %lld blocks forced or promoted, %.2f MB read\n", (long long)tokens,
         (long long)(report.forced + report.promoted_k), (long long)report.blocks,
         (double)(report.bytes_low + report.bytes_high) / 1e6);
  thriftattn_cuda_attend_state_free(state);
  thriftattn_cuda_attend_plan_free(plan);
  thriftattn_cuda_cache_free(cache);
  cudaFree(k), cudaFree(v), cudaFree(q), cudaFree(out);
  return tokens == kTokens + kSteps ? 0 : 1;
}
