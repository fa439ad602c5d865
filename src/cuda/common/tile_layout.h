// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a block lie on the device: in the order in which the lanes of a warp feed
// mma.sync.m16n8k16 (A operand), so that a kernel loads 16 bytes a lane and shuffles nothing. The
// stored values are those of the host's tile (kv/seal.h); only their order differs.
//
// In what follows lane = 4 g + q with g in 0..7 and q in 0..3, and `slot` is the place of a value
// among the eight of a 32-bit word of codes.
#pragma once

#include <cstdint>

#include "numeric/host_device.h"
#include "thriftattn/formats.h"

namespace thriftattn::cuda {

inline constexpr int kCodesPerWord = 8;
inline constexpr int kQuarters = 4;  // a block of the high tier is read in four parts of 16 tokens
inline constexpr int kNextWordBytes = 16;  // from the first to the second word of a group of 16
// Tiles begin at whole lines of L2: bulk copies of tiles 32 bytes off each other took 1 to 4 %
// longer.
inline constexpr int kTileAlignment = 128;
THRIFTATTN_HOST_DEVICE constexpr int aligned_tile(int bytes) {
  return (bytes + kTileAlignment - 1) / kTileAlignment * kTileAlignment;
}

// The token that row `row` (0..7) of 8-token group `group` (0..7) of K stands for. With this order
// the transposed scores are already the B operand that meets V, tokens in their own order.
THRIFTATTN_HOST_DEVICE constexpr int token_of(int group, int row) {
  return 32 * (group / 4) + 8 * (row / 2) + 2 * (group % 4) + row % 2;
}

// Bit positions of an E2M1 code inside its word. Each 16-bit half holds four signs on top, then
// four magnitudes of three bits: a mask, a shift and two multiplications place all eight as fp16
// times 2^-14 (common/fp4.cuh).
THRIFTATTN_HOST_DEVICE constexpr int sign_bit(int slot) {
  constexpr int kSign[4] = {15, 12, 14, 13};
  return 16 * (slot % 2) + kSign[slot / 2];
}
THRIFTATTN_HOST_DEVICE constexpr int magnitude_bit(int slot) {
  return 16 * (slot % 2) + 9 - 3 * (slot / 2);
}
THRIFTATTN_HOST_DEVICE constexpr std::uint32_t pack_code(std::uint32_t code, int slot) {
  return (code >> 3) << sign_bit(slot) | (code & 7u) << magnitude_bit(slot);
}
THRIFTATTN_HOST_DEVICE constexpr std::uint32_t unpack_code(std::uint32_t word, int slot) {
  return (word >> sign_bit(slot) & 1u) << 3 | (word >> magnitude_bit(slot) & 7u);
}

// What the kernels need of a block besides its codes; at the end of the K tile.
struct BlockHeader {
  float k_factor = 0;    // 2^k_exponent
  float v_exponent = 0;  // largest token exponent of V, an integer
};

struct TileElement {
  int token = 0;
  int dim = 0;
};

// Offsets in bytes within the tiles of one block of one kv head. head_dim: 64, 128 or 256.
//
// K tile: codes | scales | mean half [head_dim] | BlockHeader. The word of (group mt * 2 + th, r)
//   holds dims 32 r + 8 q + slot of token_of(2 mt + th, g); a lane's words of one mt are ordered
//   (th, r) and read four at a time.
// V tile: codes | scales | token weights. The word of (i, dh, w) holds tokens 32 w + 8 q + slot of
//   dim 16 i + g + 8 dh; a lane's four words of one i are ordered (dh, w).
// Residual of K or of V (nested): codes | scales, in the order of the tile.
// High K: quarter mt, step s of 16 dims, lane: half [th 0, th 1, th 0, th 1] x 2, where the pairs
//   are dims 32 (s / 2) + 8 q + 4 (s % 2) + {0, 1} and + {2, 3} of token_of(2 mt + th, g).
// High V: quarter j, i, lane: half [dim, dim + 8, dim, dim + 8] x 2 with dim = 16 i + g, where the
//   pairs are tokens 32 (j / 2) + 8 q + 4 (j % 2) + {0, 1} and + {2, 3}.
struct DeviceTileLayout {
  int head_dim = 0;

  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int words() const { return head_dim / 32; }

  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_scales() const { return 32 * head_dim; }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_mean() const {
    return k_scales() + 4 * head_dim;
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_header() const {
    return k_mean() + 2 * head_dim;
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_bytes() const {
    return aligned_tile(k_header() + static_cast<int>(sizeof(BlockHeader)));
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_scales() const { return 32 * head_dim; }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_weights() const {
    return v_scales() + 4 * head_dim;
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_bytes() const {
    return aligned_tile(v_weights() + kBlockTokens);
  }
  // The residual of K, and that of V: codes and scales as in the tile that it refines.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int residual_bytes() const { return k_mean(); }
  // 16-bit rows of K or V, and a quarter of them.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int high_bytes() const { return 128 * head_dim; }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int quarter_bytes() const { return 32 * head_dim; }

  // Byte offset of the word of K codes that holds dims [8 word, 8 word + 8) of row g of 8-token
  // group t.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_word(int t, int g, int word) const {
    const int index = t % 2 * words() + word / 4;
    const int chunk = t / 2 * (words() / 2) + index / 4;
    return (chunk * 32 + 4 * g + word % 4) * 16 + index % 4 * 4;
  }
  // Byte offset from k_scales() of the scale of dims [16 group, 16 group + 16) of that row.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int k_scale(int t, int g, int group) const {
    const int index = t * words() + group / 2;
    return index / 16 * 256 + (2 * g + group % 2) * 16 + index % 16;
  }
  // Byte offset of the word of V codes that holds tokens [8 word, 8 word + 8) of one dim.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_word(int dim, int word) const {
    const int lane = 4 * (dim % 8) + word % 4;
    return (dim / 16 * 32 + lane) * 16 + (dim % 16 / 8 * 2 + word / 4) * 4;
  }
  // Byte offset from v_scales() of the scale of tokens [16 group, 16 group + 16) of one dim.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_scale(int dim, int group) const {
    const int i = dim / 16;
    return i / 4 * 256 + (2 * (dim % 8) + group % 2) * 16 + i % 4 * 4 + dim % 16 / 8 * 2 +
           group / 2;
  }
  // Byte offset from v_weights() of a token's weight: the top byte of the half 2^(e_t -
  // v_exponent).
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int v_weight(int token) const {
    return token % 32 / 8 * 16 + token / 32 * 8 + token % 8;
  }
  // Byte offset of an element of the high tier.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int high_k(int token, int dim) const {
    const int group = token / 32 * 4 + token % 8 / 2;
    const int row = token % 32 / 8 * 2 + token % 2;
    const int step = dim / 32 * 2 + dim % 8 / 4;
    const int lane = 4 * row + dim % 32 / 8;
    const int half = dim % 4 / 2 * 4 + group % 2 * 2 + dim % 2;
    return ((group / 2 * (head_dim / 16) + step) * 32 + lane) * 16 + half * 2;
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr int high_v(int token, int dim) const {
    const int quarter = token / 32 * 2 + token % 8 / 4;
    const int lane = 4 * (dim % 8) + token % 32 / 8;
    const int half = token % 4 / 2 * 4 + dim % 16 / 8 * 2 + token % 2;
    return ((quarter * (head_dim / 16) + dim / 16) * 32 + lane) * 16 + half * 2;
  }
  // The other way: what half `half` (0..7) of the 16 bytes at 16 * chunk is.
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr TileElement high_k_element(int chunk,
                                                                            int half) const {
    const int lane = chunk % 32;
    const int step = chunk / 32 % (head_dim / 16);
    const int group = chunk / 32 / (head_dim / 16) * 2 + half / 2 % 2;
    return {token_of(group, lane / 4),
            step / 2 * 32 + lane % 4 * 8 + step % 2 * 4 + half / 4 * 2 + half % 2};
  }
  [[nodiscard]] THRIFTATTN_HOST_DEVICE constexpr TileElement high_v_element(int chunk,
                                                                            int half) const {
    const int lane = chunk % 32;
    const int quarter = chunk / 32 / (head_dim / 16);
    return {quarter / 2 * 32 + lane % 4 * 8 + quarter % 2 * 4 + half / 4 * 2 + half % 2,
            chunk / 32 % (head_dim / 16) * 16 + half / 2 % 2 * 8 + lane / 4};
  }
};

static_assert(DeviceTileLayout{128}.k_bytes() == 4992);
static_assert(DeviceTileLayout{128}.v_bytes() == 4736);
static_assert(DeviceTileLayout{128}.residual_bytes() == 4096 + 512);
static_assert(DeviceTileLayout{64}.residual_bytes() % kTileAlignment == 0);
static_assert(DeviceTileLayout{64}.residual_bytes() == DeviceTileLayout{64}.v_weights());

}  // namespace thriftattn::cuda
