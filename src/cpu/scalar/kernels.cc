// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The kernels as they are defined: one operation after the other, no intrinsics. Every other ISA
// gives these bits.
#include <array>
#include <cmath>
#include <limits>

#include "engine/kernel_table.h"
#include "numeric/e2m1.h"
#include "numeric/e4m3.h"
#include "numeric/half.h"

namespace thriftattn::cpu {
namespace {

constexpr int kPartials = 16;  // interleaved partial sums of a row of scores

float element(const Nvfp4Panel& panel, int i, int lane, float factor, float bias) {
  const std::uint32_t word = panel.codes[std::int64_t{i / 8} * panel.lanes + lane];
  const std::uint8_t scale = panel.scales[std::int64_t{i / kScaleGroup} * panel.lanes + lane];
  const auto nibble = static_cast<std::uint8_t>(word >> (4 * (i % 8)) & 15);
  return std::fma(numeric::e2m1_to_float(nibble) * factor, numeric::e4m3_to_float(scale), bias);
}

void unpack_nvfp4(const Nvfp4Panel& panel, const float* factor, const float* bias, float* out) {
  for (int i = 0; i < panel.contraction; ++i) {
    for (int lane = 0; lane < panel.lanes; ++lane) {
      out[i * panel.lanes + lane] = element(panel, i, lane, factor[i], bias[i]);
    }
  }
}

void unpack_half(const half_t* in, std::int64_t stride, int rows, int dim, float* out) {
  for (int row = 0; row < rows; ++row) {
    for (int d = 0; d < dim; ++d) out[row * dim + d] = numeric::half_to_float(in[row * stride + d]);
  }
}

void unpack_half_transposed(const half_t* in, std::int64_t stride, int dim, float* out) {
  for (int row = 0; row < kBlockTokens; ++row) {
    for (int d = 0; d < dim; ++d)
      out[d * kBlockTokens + row] = numeric::half_to_float(in[row * stride + d]);
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

void gemm_nvfp4(const GemmNvfp4Args& args) {
  for (int row = 0; row < args.rows; ++row) {
    const float* a = args.a[row];
    float* c = args.c[row];
    for (int lane = 0; lane < args.panel.lanes; ++lane) {
      float sum = args.accumulate ? c[lane] : 0.0f;
      for (int i = 0; i < args.panel.contraction; ++i) {
        sum = std::fma(a[i], element(args.panel, i, lane, args.factor[i], args.bias[i]), sum);
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

// The largest of 64 scores that is a number, a zero as +0.
float max_of(const float* scores) {
  float maximum = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < kBlockTokens; ++i) {
    if (scores[i] > maximum) maximum = scores[i];
  }
  return maximum + 0.0f;
}

void block_softmax(const float* const* scores, int rows, float* maximum, float* sum) {
  for (int row = 0; row < rows; ++row) {
    std::array<float, kBlockTokens> p;
    maximum[row] = max_of(scores[row]);
    sum[row] = block_weights(scores[row], maximum[row], p.data());
    if (std::isnan(sum[row])) maximum[row] = std::numeric_limits<float>::quiet_NaN();
  }
}

constexpr KernelTable kKernels = {.name = "scalar",
                                  .unpack_nvfp4 = unpack_nvfp4,
                                  .unpack_half = unpack_half,
                                  .unpack_half_transposed = unpack_half_transposed,
                                  .gemm = gemm,
                                  .gemm_nvfp4 = gemm_nvfp4,
                                  .decoding_rows = 1,
                                  .block_softmax = block_softmax,
                                  .block_weights = block_weights};

}  // namespace

const KernelTable* scalar_kernels() { return &kKernels; }

}  // namespace thriftattn::cpu
