// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels as they are defined: one operation after the other, no intrinsics. Every other ISA
// gives these bits.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/kernel_table.h"

namespace thriftattn::cpu {
namespace {

constexpr int kPartials = 16;  // interleaved partial sums of a row of scores

// Low 4 bits of a code word.
float decode_e2m1(std::uint32_t code) {
  constexpr std::array<float, 8> kMagnitudes = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  const float magnitude = kMagnitudes[code & 7];
  return (code & 8) != 0 ? -magnitude : magnitude;
}

// Normal, positive E4M3: four exponent bits of bias 7, three mantissa bits.
float decode_scale(std::uint8_t scale) {
  const int exponent = (scale >> 3) - 7;
  return std::ldexp(1.0f + static_cast<float>(scale & 7) / 8.0f, exponent);
}

// Bit by bit, as hardware converts: a signalling NaN becomes quiet and keeps its payload.
float decode_half(half_t half) {
  const std::uint32_t sign = (half.bits & 0x8000u) << 16;
  const int exponent = half.bits >> 10 & 0x1f;
  const std::uint32_t mantissa = half.bits & 0x3ffu;
  if (exponent == 0x1f) {
    const std::uint32_t quiet = mantissa != 0 ? 0x400000u : 0u;
    return std::bit_cast<float>(sign | 0x7f800000u | quiet | mantissa << 13);
  }
  // Subnormals have neither the implicit one nor an exponent of their own.
  const std::uint32_t significand = exponent == 0 ? mantissa : mantissa | 0x400u;
  const float magnitude = std::ldexp(static_cast<float>(significand), std::max(exponent, 1) - 25);
  return sign != 0 ? -magnitude : magnitude;
}

void unpack_nvfp4(const Nvfp4Panel& panel, const float* factor, const float* bias, float* out) {
  const int lanes = panel.lanes;
  for (int i = 0; i < panel.contraction; ++i) {
    const std::uint32_t* codes = panel.codes + std::int64_t{i / 8} * lanes;
    const std::uint8_t* scales = panel.scales + std::int64_t{i / kScaleGroup} * lanes;
    for (int lane = 0; lane < lanes; ++lane) {
      const float code = decode_e2m1(codes[lane] >> (4 * (i % 8)));
      out[i * lanes + lane] = std::fma(code * factor[i], decode_scale(scales[lane]), bias[i]);
    }
  }
}

void unpack_half(const half_t* in, std::int64_t stride, int rows, int dim, float* out) {
  for (int row = 0; row < rows; ++row) {
    for (int d = 0; d < dim; ++d) out[row * dim + d] = decode_half(in[row * stride + d]);
  }
}

void unpack_half_transposed(const half_t* in, std::int64_t stride, int dim, float* out) {
  for (int row = 0; row < kBlockTokens; ++row) {
    for (int d = 0; d < dim; ++d) out[d * kBlockTokens + row] = decode_half(in[row * stride + d]);
  }
}

void gemm(const GemmArgs& args) {
  for (int row = 0; row < args.rows; ++row) {
    const float* a = args.a[row];
    float* c = args.c[row];
    for (int lane = 0; lane < args.lanes; ++lane) {
      float sum = args.accumulate ? c[lane] : 0.0f;
      for (int i = 0; i < args.contraction; ++i) {
        sum = std::fma(a[i], args.panel[i * args.lanes + lane], sum);
      }
      c[lane] = sum;
    }
  }
}

float exp_of_nonpositive(float x) {
  using namespace exp_constants;
  if (std::isnan(x)) return x;
  if (x < kLowest) return 0.0f;
  const float n = std::nearbyint(x * kLog2E);
  const float r = std::fma(n, -kLn2Lo, std::fma(n, -kLn2Hi, x));
  float p = kC6;
  for (const float c : {kC5, kC4, kC3, kC2, 1.0f, 1.0f}) p = std::fma(p, r, c);
  return std::ldexp(p, static_cast<int>(n));
}

// What is subtracted from the scores: where every score is -inf, 0, so that their weights are 0.
float shift_of(float maximum) {
  return maximum == -std::numeric_limits<float>::infinity() ? 0.0f : maximum;
}

float block_weights(const float* scores, float maximum, float* p) {
  std::array<float, kPartials> partial = {};
  const float shift = shift_of(maximum);
  for (int i = 0; i < kBlockTokens; ++i) {
    p[i] = exp_of_nonpositive(scores[i] - shift);
    partial[i % kPartials] += p[i];
  }
  for (int half = kPartials / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) partial[j] += partial[j + half];
  }
  return partial[0];
}

// The largest of 64 scores, +0 where that is a zero of either sign; NaN where one is NaN.
float max_of(const float* scores) {
  float maximum = scores[0];
  for (int i = 0; i < kBlockTokens; ++i) {
    if (std::isnan(scores[i])) return std::numeric_limits<float>::quiet_NaN();
    if (scores[i] > maximum) maximum = scores[i];
  }
  return maximum + 0.0f;
}

void block_softmax(const float* const* scores, int rows, float* maximum, float* sum) {
  for (int row = 0; row < rows; ++row) {
    std::array<float, kBlockTokens> p;
    maximum[row] = max_of(scores[row]);
    sum[row] = block_weights(scores[row], maximum[row], p.data());
  }
}

constexpr KernelTable kKernels = {.name = "scalar",
                                  .unpack_nvfp4 = unpack_nvfp4,
                                  .unpack_half = unpack_half,
                                  .unpack_half_transposed = unpack_half_transposed,
                                  .gemm = gemm,
                                  .block_softmax = block_softmax,
                                  .block_weights = block_weights};

}  // namespace

const KernelTable* scalar_kernels() { return &kKernels; }

}  // namespace thriftattn::cpu
