// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/nvfp4.h"

#include "numeric/e8m0.h"

namespace thriftattn::numeric {

void fake_quantize(const float* in, int n, ScaleRule rule, int exponent, float* out) {
  const float down = power_of_two(-exponent);
  const float up = power_of_two(exponent);
  float x[kScaleGroup];
  for (int begin = 0; begin < n; begin += kScaleGroup) {
    for (int i = 0; i < kScaleGroup; ++i) x[i] = in[begin + i] * down;
    dequantize_group(quantize_group(x, rule), x);
    for (int i = 0; i < kScaleGroup; ++i) out[begin + i] = x[i] * up;
  }
}

}  // namespace thriftattn::numeric
