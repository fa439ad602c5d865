// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "mask_bits.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace thriftattn::plugin {
namespace {

constexpr ggml_fp16_t kVisible = 0;
constexpr ggml_fp16_t kMasked = 0xFC00;
constexpr ggml_fp16_t kHalf = 0x3800;

// An attention node of 2 tokens over `kv_len` cells with a mask of one stream.
struct Node {
  ggml_tensor q = {}, k = {}, v = {}, mask = {}, op = {};
  std::vector<ggml_fp16_t> values;
  std::unique_ptr<Executor> executor = make_thread_pool(2);

  explicit Node(std::int64_t kv_len) : values(2 * kv_len, kMasked) {
    shape(q, {64, 2, 1, 1}, sizeof(float));
    shape(k, {64, kv_len, 1, 1}, 2);
    shape(v, {64, kv_len, 1, 1}, 2);
    shape(mask, {kv_len, 2, 1, 1}, 2);
    mask.data = values.data();
    op.src[0] = &q;
    op.src[1] = &k;
    op.src[2] = &v;
    op.src[3] = &mask;
  }
  static void shape(ggml_tensor& t, const std::vector<std::int64_t>& ne, std::size_t stride) {
    for (int i = 0; i < 4; ++i) {
      t.ne[i] = ne[i];
      t.nb[i] = stride;
      stride *= static_cast<std::size_t>(ne[i]);
    }
  }
  bool build(MaskBits& bits) { return bits.build(FlashProblem(&op), *executor); }
};

TEST(MaskBits, SaysWhoSeesWhat) {
  Node node(192);
  for (int i = 0; i < 64; ++i) node.values[i] = kVisible;
  node.values[64] = node.values[127] = kVisible;
  node.values[192 + 65] = 0x8000;  // minus zero
  MaskBits bits;
  ASSERT_TRUE(node.build(bits));
  ASSERT_EQ(bits.blocks(), 3);
  EXPECT_EQ(bits.visible(0, 0, 0), ~std::uint64_t{0});
  EXPECT_EQ(bits.visible(0, 0, 1), 1u | std::uint64_t{1} << 63);
  EXPECT_EQ(bits.visible(0, 0, 2), 0u);
  EXPECT_EQ(bits.visible(0, 1, 0), 0u);
  EXPECT_EQ(bits.visible(0, 1, 1), 2u);
  EXPECT_EQ(bits.visible(7, 1, 1), 2u) << "one mask serves every stream";
  const std::vector<BlockNeed> needs = bits.needs(0);
  EXPECT_TRUE(needs[0].full);
  EXPECT_FALSE(needs[1].full);
  EXPECT_EQ(needs[1].any, 3u | std::uint64_t{1} << 63);
  EXPECT_EQ(needs[2].any, 0u);
}

TEST(MaskBits, AnyOtherValueIsNotPlain) {
  for (const int at : {0, 63, 64, 100}) {
    Node node(101);
    node.values[at] = kHalf;
    MaskBits bits;
    EXPECT_FALSE(node.build(bits)) << at;
  }
}

TEST(MaskBits, APartialLastBlockEndsWithTheCells) {
  Node node(70);
  for (int i = 0; i < 140; ++i) node.values[i] = kVisible;
  MaskBits bits;
  ASSERT_TRUE(node.build(bits));
  EXPECT_EQ(bits.visible(0, 1, 1), 0x3Fu);
  node.op.src[3] = nullptr;
  ASSERT_TRUE(node.build(bits));
  EXPECT_EQ(bits.visible(0, 0, 0), ~std::uint64_t{0});
  EXPECT_EQ(bits.visible(0, 0, 1), 0x3Fu);
  EXPECT_EQ(bits.visible(0, 1, 1), 0x3Fu);
}

TEST(MaskBits, AMaskPerHeadIsNotPlain) {
  Node node(64);
  node.mask.ne[2] = 2;
  MaskBits bits;
  EXPECT_FALSE(node.build(bits));
}

}  // namespace
}  // namespace thriftattn::plugin
