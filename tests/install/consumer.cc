// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Includes every public C++ header and calls the library once.
#include <cstdio>

#include "thriftattn/attention.h"
#include "thriftattn/block_store.h"
#include "thriftattn/device.h"
#include "thriftattn/executor.h"
#include "thriftattn/formats.h"
#include "thriftattn/kv_cache.h"
#include "thriftattn/kv_source.h"
#include "thriftattn/selection.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"
#include "thriftattn/version.h"

int main() {
  auto cache = thriftattn::PagedKvCache::create({.kv_heads = 1, .head_dim = 64, .pages = 1});
  if (!cache.ok()) return std::puts(cache.status().message().c_str()), 1;
  const auto isa = thriftattn::active_isa();
  if (!isa.ok()) return std::puts(isa.status().message().c_str()), 1;
  std::printf("thriftattn %d.%d on %s, %lld free pages\n", THRIFTATTN_VERSION_MAJOR,
              THRIFTATTN_VERSION_MINOR, isa.value().c_str(),
              static_cast<long long>(cache.value().free_pages()));
  return cache.value().free_pages() == 1 ? 0 : 1;
}
