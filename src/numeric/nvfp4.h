// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// NVFP4 groups: 16 values, E2M1 codes, one E4M3 scale. The exact scalar codec that everything is
// held to.
#pragma once

#include <cstdint>

#include "thriftattn/formats.h"

namespace thriftattn::numeric {

// The sealer never stores a smaller scale: fast decoders rely on normal E4M3.
inline constexpr float kMinScale = 0x1p-6f;
inline constexpr float kMaxScale = 448.0f;
inline constexpr float kMaxE2m1 = 6.0f;

struct Nvfp4Group {
  std::uint8_t scale = 0;                // E4M3
  std::uint8_t codes[kScaleGroup] = {};  // E2M1, one a byte
};

// Quantises 16 finite values. The scale is clamped to [2^-6, 448]: pre-scale by a power of two to
// stay inside.
Nvfp4Group quantize_group(const float* x, ScaleRule rule);

// out[i] = code * scale of 16 values.
void dequantize_group(const Nvfp4Group& group, float* out);

// What quantising `n` (a multiple of 16) values and decoding them gives, with values pre-scaled by
// the power of two 2^-exponent before and by 2^exponent after. in and out may be the same.
void fake_quantize(const float* in, int n, ScaleRule rule, int exponent, float* out);

// The smallest e such that amax / divisor / 2^e fits kMaxScale (divisor is 6, or 4 for
// four_over_six). 0 gives a very small e that is still safe to use (-126).
int scale_exponent(float amax, ScaleRule rule);

}  // namespace thriftattn::numeric
