// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv_root.h"

#include <gtest/gtest.h>

#include <vector>

namespace thriftattn::plugin {
namespace {

// A cache of 4 blocks: 2 streams of 128 cells, 8 halves a row.
struct Cache {
  std::vector<char> memory = std::vector<char>(256 * 16);
  ggml_tensor tensor = {};
  Cache() {
    tensor.type = GGML_TYPE_F16;
    const std::int64_t ne[] = {8, 128, 2, 1};
    std::size_t stride = 2;
    for (int i = 0; i < 4; ++i) {
      tensor.ne[i] = ne[i];
      tensor.nb[i] = stride;
      stride *= static_cast<std::size_t>(ne[i]);
    }
    tensor.data = memory.data();
  }
  const char* row(int r) { return memory.data() + r * 16; }
};

TEST(KvRoot, TakesOnlyCachesWhoseBlocksStayInAStream) {
  Cache cache;
  EXPECT_TRUE(KvRoot::fits(&cache.tensor));
  cache.tensor.ne[1] = 96;
  EXPECT_FALSE(KvRoot::fits(&cache.tensor));
}

TEST(KvRoot, AWriteTouchesTheBlocksOfItsBytes) {
  Cache cache;
  KvRoot root(&cache.tensor);
  ASSERT_EQ(root.blocks(), 4);
  root.written(cache.row(63), cache.row(65), false);
  EXPECT_EQ(root.version(0), 2u);
  EXPECT_EQ(root.version(1), 2u);
  EXPECT_EQ(root.version(2), 1u);
  root.written(cache.row(128) - 1, cache.row(128), false);
  EXPECT_EQ(root.version(1), 3u);
  EXPECT_EQ(root.version(2), 1u);
  root.written(cache.row(0) - 100, cache.row(256) + 100, false);
  EXPECT_EQ(root.version(0), 3u);
  EXPECT_EQ(root.version(3), 2u);
}

TEST(KvRoot, NothingOutsideOrEmptyIsAWrite) {
  Cache cache;
  KvRoot root(&cache.tensor);
  root.written(cache.row(0) - 16, cache.row(0), false);
  root.written(cache.row(256), cache.row(257), false);
  root.written(cache.row(3), cache.row(3), false);
  for (int b = 0; b < 4; ++b) EXPECT_EQ(root.version(b), 1u);
}

TEST(KvRoot, FreshUntilTheNextAppendAfterAnAttention) {
  Cache cache;
  KvRoot root(&cache.tensor);
  EXPECT_FALSE(root.fresh(0));
  root.written(cache.row(0), cache.row(1), true);
  root.written(cache.row(64), cache.row(65), true);
  EXPECT_TRUE(root.fresh(0));
  EXPECT_TRUE(root.fresh(1));
  root.attended();
  EXPECT_TRUE(root.fresh(0)) << "a second layer on the same cache sees the same";
  root.written(cache.row(70), cache.row(71), true);
  EXPECT_FALSE(root.fresh(0));
  EXPECT_TRUE(root.fresh(1));
}

TEST(KvRoot, OnlyAppendsMakeBlocksFresh) {
  Cache cache;
  KvRoot root(&cache.tensor);
  root.written(cache.row(0), cache.row(256), false);
  EXPECT_FALSE(root.fresh(0));
}

}  // namespace
}  // namespace thriftattn::plugin
