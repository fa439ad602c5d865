/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 * The CUDA header as C99 sees it, and what every function says to bad input. Needs no device. */
#include <stdio.h>
#include <string.h>

#include "thriftattn/c_api_cuda.h"

static int failures = 0;

/* The call is refused with `status` and a message that holds `word`. */
#define EXPECT_REFUSED(call, status, word)                                                         \
  do {                                                                                             \
    if ((call) != (status) || strstr(thriftattn_status_message(), word) == NULL) {                 \
      ++failures;                                                                                  \
      fprintf(stderr, "line %d: %s: lacks '%s'\n", __LINE__, thriftattn_status_message(), (word)); \
    }                                                                                              \
  } while (0)
#define EXPECT_INVALID(call, word) EXPECT_REFUSED(call, THRIFTATTN_INVALID_ARGUMENT, word)
#define EXPECT(condition)                                              \
  do {                                                                 \
    if (!(condition)) {                                                \
      ++failures;                                                      \
      fprintf(stderr, "line %d: %s is false\n", __LINE__, #condition); \
    }                                                                  \
  } while (0)

static void devices(void) {
  thriftattn_cuda_device device;
  int32_t count = 0;
  const int driver = thriftattn_cuda_device_count(&count) == THRIFTATTN_OK;
  thriftattn_cuda_device_default(&device, sizeof device);
  EXPECT(device.struct_size == sizeof device && device.name[0] == '\0');
  EXPECT_INVALID(thriftattn_cuda_device_count(NULL), "count is NULL");
  EXPECT_INVALID(thriftattn_cuda_device_info(0, NULL), "device is NULL");
  EXPECT_REFUSED(thriftattn_cuda_device_info(-1, &device),
                 driver ? THRIFTATTN_INVALID_ARGUMENT : THRIFTATTN_UNSUPPORTED,
                 driver ? "device -1: this machine has" : "no CUDA driver");
  device.struct_size = 4;
  EXPECT_INVALID(thriftattn_cuda_device_info(0, &device), "device.struct_size 4");
}

static void creation(void) {
  int32_t count = 0;
  const int driver = thriftattn_cuda_device_count(&count) == THRIFTATTN_OK;
  thriftattn_cuda_cache_config config;
  thriftattn_cuda_cache* cache = NULL;
  thriftattn_cuda_cache_config_default(&config, sizeof config);
  EXPECT(config.struct_size == sizeof config && config.max_sequences == 256);
  EXPECT(config.max_tokens == 131072 && config.centre_k && config.token_norms);
  config.kv_heads = 1;
  config.head_dim = 64;
  config.pages = 1;
  EXPECT_INVALID(thriftattn_cuda_cache_create(NULL, &cache), "config is NULL");
  EXPECT_INVALID(thriftattn_cuda_cache_create(&config, NULL), "cache is NULL");
  config.device = 9999;
  EXPECT_REFUSED(thriftattn_cuda_cache_create(&config, &cache),
                 driver ? THRIFTATTN_INVALID_ARGUMENT : THRIFTATTN_UNSUPPORTED,
                 driver ? "device 9999: this machine has" : "no CUDA driver");
  EXPECT(cache == NULL);
  config.head_dim = 96;
  EXPECT_REFUSED(thriftattn_cuda_cache_create(&config, &cache), THRIFTATTN_UNSUPPORTED, "96");
  config.residence = 2;
  EXPECT_INVALID(thriftattn_cuda_cache_create(&config, &cache), "config.residence 2");
  config.residence = THRIFTATTN_RESIDENCE_DEVICE;
  config.high_tier = 2;
  EXPECT_INVALID(thriftattn_cuda_cache_create(&config, &cache), "config.high_tier 2");
  config.scale_rule = -1;
  EXPECT_INVALID(thriftattn_cuda_cache_create(&config, &cache), "config.scale_rule -1");
  config.struct_size = sizeof config + 8;
  EXPECT_INVALID(thriftattn_cuda_cache_create(&config, &cache), "config.struct_size");
  thriftattn_cuda_cache_free(NULL);
}

static void null_caches(void) {
  const int64_t offsets[2] = {0, 1};
  const thriftattn_const_tensor rows = {NULL, THRIFTATTN_F16, 1, 1, 64, 0, 0};
  int32_t sequence = 0;
  int64_t n = 0;
  EXPECT_INVALID(thriftattn_cuda_cache_add_sequence(NULL, &sequence), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_free_sequence(NULL, 0, NULL), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_length(NULL, 0, &n), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_free_pages(NULL, &n), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_device_bytes(NULL, &n), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_append(NULL, &sequence, 1, offsets, &rows, &rows, NULL),
                 "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_reserve(NULL, &sequence, 1, 1, NULL), "cache");
  EXPECT_INVALID(thriftattn_cuda_cache_synchronize(NULL, NULL), "cache");
}

static void states_and_plans(void) {
  thriftattn_cuda_attend_state* state = NULL;
  thriftattn_cuda_attend_plan* plan = NULL;
  thriftattn_report report;
  int64_t n = 0;
  EXPECT_INVALID(thriftattn_cuda_attend_state_create(NULL, 1, &state), "cache is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend_state_create(NULL, 1, NULL), "state is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend_state_reset(NULL, 0, NULL), "state is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend_plan_create(NULL, 1, 1, 1, &plan), "cache is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend_plan_create(NULL, 1, 1, 1, NULL), "plan is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend_plan_device_bytes(NULL, &n), "plan");
  EXPECT_INVALID(thriftattn_cuda_crossover_tokens(NULL, 1, &n), "config is NULL");
  thriftattn_report_default(&report, sizeof report);
  EXPECT_INVALID(thriftattn_cuda_report(NULL, NULL, &report), "plan is NULL");
  EXPECT_INVALID(thriftattn_cuda_report(NULL, NULL, NULL), "report is NULL");
  report.struct_size = 8;
  EXPECT_INVALID(thriftattn_cuda_report(NULL, NULL, &report), "report.struct_size 8");
  thriftattn_cuda_attend_state_free(NULL);
  thriftattn_cuda_attend_plan_free(NULL);
}

static void attend(void) {
  const int32_t sequence = 0;
  const int64_t offsets[2] = {0, 1};
  const thriftattn_const_tensor rows = {NULL, THRIFTATTN_BF16, 1, 1, 64, 0, 0};
  thriftattn_selection selection;
  thriftattn_cuda_attend_params params;
  thriftattn_cuda_attend_params_default(&params, sizeof params);
  EXPECT(params.struct_size == sizeof params && params.refresh);
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, NULL, NULL), "params is NULL");
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "sequence_count 0");
  params.sequence_count = 1;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "sequences is NULL");
  params.sequences = &sequence;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "offsets is NULL");
  params.q_offsets = offsets;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "cache or plan is NULL");
  EXPECT_INVALID(thriftattn_cuda_append_and_attend(NULL, NULL, &params, NULL, &rows, NULL),
                 "k or v is NULL");
  EXPECT_INVALID(thriftattn_cuda_append_and_attend(NULL, NULL, &params, &rows, &rows, NULL),
                 "cache or plan is NULL");
  thriftattn_selection_default(&selection, sizeof selection);
  selection.policy = 5;
  params.selection = &selection;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "selection.policy 5");
  params.out.dtype = 7;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "out.dtype 7");
  params.q.dtype = -1;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "q.dtype -1");
  params.struct_size = 8;
  EXPECT_INVALID(thriftattn_cuda_attend(NULL, NULL, &params, NULL), "params.struct_size 8");
}

int main(void) {
  devices();
  creation();
  null_caches();
  states_and_plans();
  attend();
  return failures == 0 ? 0 : 1;
}
