/* SPDX-FileCopyrightText: 2026 The thriftattn authors
 * SPDX-License-Identifier: Apache-2.0
 * The C API from an installed copy. */
#include <stdio.h>

#include "thriftattn/c_api.h"

int main(void) {
  thriftattn_cache_config config;
  thriftattn_cache* cache = NULL;
  thriftattn_cache_config_default(&config, sizeof config);
  config.kv_heads = 1;
  config.head_dim = 64;
  config.pages = 1;
  if (thriftattn_cache_create(&config, &cache) != THRIFTATTN_OK) {
    fprintf(stderr, "%s\n", thriftattn_status_message());
    return 1;
  }
  thriftattn_cache_free(cache);
  printf("thriftattn %s on %s\n", thriftattn_version(), thriftattn_active_isa());
  return thriftattn_abi_version() == THRIFTATTN_ABI_VERSION ? 0 : 1;
}
