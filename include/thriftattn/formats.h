// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The stored formats: IEEE half, and NVFP4 tiles of one block (64 tokens) of one kv head.
//
// NVFP4 is 4-bit E2M1 codes with one E4M3 scale for every 16 values along the contraction axis. K
// is contracted over head_dim, V over tokens, so a K tile is a panel [head_dim, 64 tokens] and a V
// tile a panel [64 tokens, head_dim], and both are read by the same code.
#pragma once

#include <cstdint>

namespace thriftattn {

inline constexpr int kBlockTokens = 64;  // tokens of a block, the unit of selection
inline constexpr int kScaleGroup = 16;   // values that share one E4M3 scale
inline constexpr int kMinHeadDim = 32;
inline constexpr int kMaxHeadDim = 256;
inline constexpr int kHeadDimStep = 16;

// IEEE 754 binary16 as its bits.
struct half_t {
  std::uint16_t bits = 0;
  friend bool operator==(half_t, half_t) = default;
};

// Codes and scales of a matrix [contraction, lanes], lanes contiguous.
// Nibble i (bits 4i..4i+3) of codes[c * lanes + lane] is element (8c + i, lane); an E2M1 code is
// sign in bit 3, magnitude {0, .5, 1, 1.5, 2, 3, 4, 6} in bits 0..2. One word feeds one SIMD lane,
// so every vector width reads the same tile. Scales are normal, positive E4M3 (at least 2^-6).
struct Nvfp4Panel {
  const std::uint32_t* codes = nullptr;  // [contraction / 8, lanes]
  const std::uint8_t* scales = nullptr;  // [contraction / 16, lanes]
  int contraction = 0;                   // a multiple of 16
  int lanes = 0;                         // a multiple of 16
};

// The low tier of one block of one kv head.
// K: k[t][d] = k_mean[d] + 2^k_exponent * code * scale.   V: v[t][d] = 2^(v_exponents[t] - 127) *
// code * scale.
struct LowTile {
  Nvfp4Panel k;                    // [head_dim, 64]
  const half_t* k_mean = nullptr;  // [head_dim]; what `k` is relative to, zeros if not centred
  int k_exponent = 0;              // power of two that keeps K's scales in E4M3's range
  Nvfp4Panel v;                    // [64, head_dim]
  const std::uint8_t* v_exponents = nullptr;  // [64], E8M0
};

// What a sealed block is promoted to.
enum class HighTier : std::uint8_t {
  kRows16,  // its 16-bit rows, which somebody keeps
  kNested,  // its low tier plus NVFP4 of what that leaves: no rows once the block is sealed
};

// A residual is stored in the units of its low tier times 2^-2, in every block. A low-tier code is
// off by at most one scale of its group, so at most 448: amax / 6 of four times that fits E4M3, and
// neither an exponent nor a shift needs to be stored.
inline constexpr int kResidualShift = 2;

// What the nested high tier adds to a low tile: k - k_low = 2^k_exponent * code * scale and
// v - v_low = 2^(v_exponents[t] - 127 - kResidualShift) * code * scale, with the low tile's token
// exponents. Products use it as a second operand of its own (q k_low + q k_residual): the sum is
// not exact in 16 bits.
struct ResidualTile {
  Nvfp4Panel k;        // [head_dim, 64], no mean
  int k_exponent = 0;  // the low tile's k_exponent - kResidualShift
  Nvfp4Panel v;        // [64, head_dim]
};

// What a sealed block of one kv head stores about itself. Errors are against what the tile decodes
// to, maxima over tokens of Euclidean norms over head_dim; all are rounded up.
struct BlockSummary {
  float error_k = 0;                     // max |k - k^|
  float error_v = 0;                     // max |v - v^|
  float max_k = 0;                       // max |k^|
  float max_v = 0;                       // max |v|
  const half_t* block_mean = nullptr;    // [head_dim], mean of K (also where K is not centred)
  const float* min_k = nullptr;          // [head_dim], only where asked for (policy quest)
  const float* max_k_channel = nullptr;  // [head_dim], only where asked for
  float nested_error_k = 0;              // max |k - (k^ + residual)|, 0 where the rows are kept
  float nested_error_v = 0;              // max |v - (v^ + residual)|, 0 where the rows are kept
};

enum class ScaleRule : std::uint8_t {
  kFourOverSix,  // amax / 6 or amax / 4, whichever has less squared error
  kNearest,      // amax / 6
};

// How a block is turned into its low tier.
struct Numerics {
  ScaleRule scale_rule = ScaleRule::kFourOverSix;
  bool centre_k = true;     // K relative to the mean of its block
  bool token_norms = true;  // V relative to a power of two per token (else one for the block)

  // What the paper and public kernels do: nearest scales, neither centring nor token norms.
  static constexpr Numerics plain() { return {ScaleRule::kNearest, false, false}; }
  friend bool operator==(const Numerics&, const Numerics&) = default;
};

}  // namespace thriftattn
