// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The device's tile layout is a permutation of what the host's tile holds. Needs no device.
#include "cuda/common/tile_layout.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace thriftattn::cuda {
namespace {

class TileLayout : public ::testing::TestWithParam<int> {
 protected:
  DeviceTileLayout layout_{GetParam()};
  int head_dim_ = GetParam();
};

// Marks [begin, begin + size) as used; every byte is used once.
class ByteMap {
 public:
  explicit ByteMap(int bytes) : used_(static_cast<std::size_t>(bytes), 0) {}
  void use(int begin, int size) {
    for (int i = begin; i < begin + size; ++i) {
      ASSERT_GE(i, 0);
      ASSERT_LT(i, static_cast<int>(used_.size()));
      ASSERT_EQ(used_[static_cast<std::size_t>(i)]++, 0) << "byte " << i;
    }
  }
  void expect_full(int begin, int end) const {
    for (int i = begin; i < end; ++i) {
      ASSERT_EQ(used_[static_cast<std::size_t>(i)], 1) << "byte " << i;
    }
  }

 private:
  std::vector<int> used_;
};

TEST_P(TileLayout, KTileHoldsEveryValueOnce) {
  ByteMap bytes(layout_.k_bytes());
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) {
      for (int word = 0; word < head_dim_ / 8; ++word) bytes.use(layout_.k_word(t, g, word), 4);
      for (int group = 0; group < head_dim_ / 16; ++group) {
        bytes.use(layout_.k_scales() + layout_.k_scale(t, g, group), 1);
      }
    }
  }
  bytes.use(layout_.k_mean(), 2 * head_dim_);
  bytes.use(layout_.k_header(), static_cast<int>(sizeof(BlockHeader)));
  bytes.expect_full(0, layout_.k_header() + static_cast<int>(sizeof(BlockHeader)));
  EXPECT_EQ(layout_.k_bytes() % kTileAlignment, 0);
}

TEST_P(TileLayout, VTileHoldsEveryValueOnce) {
  ByteMap bytes(layout_.v_bytes());
  for (int d = 0; d < head_dim_; ++d) {
    for (int word = 0; word < 8; ++word) bytes.use(layout_.v_word(d, word), 4);
    for (int group = 0; group < 4; ++group) {
      bytes.use(layout_.v_scales() + layout_.v_scale(d, group), 1);
    }
  }
  for (int t = 0; t < kBlockTokens; ++t) bytes.use(layout_.v_weights() + layout_.v_weight(t), 1);
  bytes.expect_full(0, layout_.v_weights() + kBlockTokens);
  EXPECT_EQ(layout_.v_bytes() % kTileAlignment, 0);
}

// A residual has the codes and scales of its tile in the tile's places, and nothing else.
TEST_P(TileLayout, ResidualsHoldEveryCodeOnce) {
  ByteMap k(layout_.residual_bytes());
  ByteMap v(layout_.residual_bytes());
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) {
      for (int word = 0; word < head_dim_ / 8; ++word) k.use(layout_.k_word(t, g, word), 4);
      for (int group = 0; group < head_dim_ / 16; ++group) {
        k.use(layout_.k_scales() + layout_.k_scale(t, g, group), 1);
      }
    }
  }
  for (int d = 0; d < head_dim_; ++d) {
    for (int word = 0; word < 8; ++word) v.use(layout_.v_word(d, word), 4);
    for (int group = 0; group < 4; ++group) {
      v.use(layout_.v_scales() + layout_.v_scale(d, group), 1);
    }
  }
  k.expect_full(0, layout_.residual_bytes());
  v.expect_full(0, layout_.residual_bytes());
  EXPECT_EQ(layout_.residual_bytes() % kTileAlignment, 0);
}

TEST_P(TileLayout, TheSecondWordOfAGroupFollowsTheFirst) {
  for (int group = 0; group < head_dim_ / 16; ++group) {
    for (int t = 0; t < 8; ++t) {
      for (int g = 0; g < 8; ++g) {
        EXPECT_EQ(layout_.k_word(t, g, 2 * group) + kNextWordBytes,
                  layout_.k_word(t, g, 2 * group + 1));
      }
    }
  }
  for (int group = 0; group < 4; ++group) {
    for (int d = 0; d < head_dim_; ++d) {
      EXPECT_EQ(layout_.v_word(d, 2 * group) + kNextWordBytes, layout_.v_word(d, 2 * group + 1));
    }
  }
}

TEST_P(TileLayout, HighTilesHoldEveryValueOnce) {
  ByteMap k(layout_.high_bytes());
  ByteMap v(layout_.high_bytes());
  for (int t = 0; t < kBlockTokens; ++t) {
    for (int d = 0; d < head_dim_; ++d) {
      k.use(layout_.high_k(t, d), 2);
      v.use(layout_.high_v(t, d), 2);
    }
  }
  k.expect_full(0, layout_.high_bytes());
  v.expect_full(0, layout_.high_bytes());
}

TEST_P(TileLayout, ElementsOfAChunkAreTheInverse) {
  for (int chunk = 0; chunk < layout_.high_bytes() / 16; ++chunk) {
    for (int half = 0; half < 8; ++half) {
      const TileElement k = layout_.high_k_element(chunk, half);
      const TileElement v = layout_.high_v_element(chunk, half);
      ASSERT_EQ(layout_.high_k(k.token, k.dim), 16 * chunk + 2 * half);
      ASSERT_EQ(layout_.high_v(v.token, v.dim), 16 * chunk + 2 * half);
    }
  }
}

// A lane of mma.sync.m16n8k16 holds rows g and g + 8 of A: of quarter mt, those of 8-token groups
// 2 mt and 2 mt + 1.
TEST_P(TileLayout, HighKFollowsTheOrderOfTokensOfTheLowTier) {
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) {
      for (int d = 0; d < head_dim_; ++d) {
        const int at = layout_.high_k(token_of(t, g), d);
        ASSERT_EQ(at / layout_.quarter_bytes(), t / 2);
        ASSERT_EQ(at / 16 % 32 / 4, g);
        ASSERT_EQ(at / 4 % 2, t % 2);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HeadDims, TileLayout, ::testing::Values(64, 128, 256));

TEST(TokenOf, IsAPermutation) {
  std::set<int> tokens;
  for (int t = 0; t < 8; ++t) {
    for (int g = 0; g < 8; ++g) tokens.insert(token_of(t, g));
  }
  EXPECT_EQ(tokens.size(), 64u);
  EXPECT_EQ(*tokens.begin(), 0);
  EXPECT_EQ(*tokens.rbegin(), 63);
}

TEST(PackCode, EverySlotHasBitsOfItsOwn) {
  std::uint32_t seen = 0;
  for (int slot = 0; slot < kCodesPerWord; ++slot) {
    const std::uint32_t bits = pack_code(15, slot);
    EXPECT_EQ(seen & bits, 0u);
    seen |= bits;
  }
  EXPECT_EQ(seen, ~0u);
}

TEST(PackCode, RoundTripsBesideEveryNeighbour) {
  for (int slot = 0; slot < kCodesPerWord; ++slot) {
    for (std::uint32_t code = 0; code < 16; ++code) {
      for (const std::uint32_t others : {0u, ~0u}) {
        const std::uint32_t word = (others & ~pack_code(15, slot)) | pack_code(code, slot);
        EXPECT_EQ(unpack_code(word, slot), code);
      }
    }
  }
}

}  // namespace
}  // namespace thriftattn::cuda
