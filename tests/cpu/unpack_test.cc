// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// unpack_*: exact over every code and scale and every half, and the same bits in every ISA.
#include "coded_panel.h"
#include "every_isa.h"

namespace thriftattn::test {
namespace {

// Sixteen rows, one for each code, which `rotation` puts in another place of the words; one lane
// for each scale.
OwnedPanel exhaustive_panel(int rotation) {
  OwnedPanel panel(16, 128);
  for (int lane = 0; lane < panel.lanes; ++lane) {
    for (int i = 0; i < 16; ++i) {
      const auto code = static_cast<std::uint32_t>((i + rotation) % 16);
      panel.codes[i / 8 * panel.lanes + lane] |= code << (4 * (i % 8));
    }
    panel.scales[lane] = static_cast<std::uint8_t>(std::min(kFirstScale + lane, kLastScale));
  }
  return panel;
}

std::vector<float> unpack(const KernelTable& kernels, const OwnedPanel& panel,
                          const std::vector<float>& factor, const std::vector<float>& bias) {
  std::vector<float> out(panel.size(), kNan);
  kernels.unpack_nvfp4(panel.view(), factor.data(), bias.data(), out.data());
  return out;
}

class Unpack : public EveryIsa {};
THRIFTATTN_FOR_EVERY_ISA(Unpack);

TEST_P(Unpack, EveryCodeAndScale) {
  constexpr double kMagnitudes[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (int rotation = 0; rotation < 16; ++rotation) {
    const OwnedPanel panel = exhaustive_panel(rotation);
    // A bias of -0 keeps the sign of a code of -0.
    const std::vector<float> out =
        unpack(*kernels, panel, std::vector<float>(16, 1.0f), std::vector<float>(16, -0.0f));
    for (int i = 0; i < 16; ++i) {
      for (int lane = 0; lane < panel.lanes; ++lane) {
        const int code = (i + rotation) % 16;
        const int scale = panel.scales[lane];
        const double magnitude =
            kMagnitudes[code % 8] * std::ldexp(1 + (scale % 8) / 8.0, scale / 8 - 7);
        const auto want = static_cast<float>(code < 8 ? magnitude : -magnitude);
        ASSERT_TRUE(same_bits(out[i * panel.lanes + lane], want)) << code << " x " << scale;
      }
    }
  }
}

TEST_P(Unpack, FactorsAndBiases) {
  Random random(1);
  const OwnedPanel panel = random_panel(random, 64, 64);
  std::vector<float> factor(64);
  std::vector<float> bias(64);
  for (int i = 0; i < 64; ++i) {
    factor[i] = std::ldexp(i % 2 == 0 ? 1.0f : -1.0f, i - 32);
    bias[i] = i % 5 == 0 ? 0.0f : random.normal(std::ldexp(1.0f, i - 32));
  }
  const std::vector<float> out = unpack(*kernels, panel, factor, bias);
  EXPECT_TRUE(same_bits(out, unpack(*scalar, panel, factor, bias)));
  // The product is exact, so the only rounding is the one of the sum, of half an ulp.
  const OwnedPanel& p = panel;
  const std::vector<float> codes =
      unpack(*scalar, p, std::vector<float>(64, 1.0f), std::vector<float>(64, 0.0f));
  for (int i = 0; i < 64; ++i) {
    for (int lane = 0; lane < 64; ++lane) {
      const double want = double{codes[i * 64 + lane]} * factor[i] + bias[i];
      ASSERT_NEAR(out[i * 64 + lane], want, std::fabs(want) * 0x1.00001p-24);
    }
  }
}

TEST_P(Unpack, EveryHeadDim) {
  Random random(2);
  for (int dim = kMinHeadDim; dim <= kMaxHeadDim; dim += kHeadDimStep) {
    for (const bool is_k : {true, false}) {
      const OwnedPanel panel =
          random_panel(random, is_k ? dim : kBlockTokens, is_k ? kBlockTokens : dim);
      std::vector<float> factor(panel.contraction);
      for (float& f : factor) f = std::ldexp(1.0f, random.below(40) - 20);
      const std::vector<float> bias = random.normals(factor.size());
      ASSERT_TRUE(
          same_bits(unpack(*kernels, panel, factor, bias), unpack(*scalar, panel, factor, bias)))
          << (is_k ? "K" : "V") << " of head_dim " << dim;
    }
  }
}

TEST_P(Unpack, SubnormalAndHugeFactors) {
  Random random(3);
  const OwnedPanel panel = random_panel(random, 32, 48);
  for (const float f : {0x1p-127f, 0x1p-149f, 0x1p126f, 0x1p127f, 0.3f, 0.0f}) {
    const std::vector<float> factor(32, f);
    const std::vector<float> bias(32, 0x1p-130f);
    ASSERT_TRUE(
        same_bits(unpack(*kernels, panel, factor, bias), unpack(*scalar, panel, factor, bias)))
        << f;
  }
}

// Exact, from the definition of binary16; a NaN keeps its payload and becomes quiet.
std::uint32_t float_bits_of_half(std::uint32_t half) {
  const int exponent = static_cast<int>(half >> 10 & 31);
  const std::uint32_t mantissa = half & 0x3ff;
  const std::uint32_t sign = (half >> 15) << 31;
  if (exponent == 31) {
    return sign | 0x7f800000u | (mantissa != 0 ? 0x400000u : 0u) | mantissa << 13;
  }
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0 + mantissa, exponent - 25);
  return sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude));
}

TEST_P(Unpack, EveryHalf) {
  constexpr int kDim = 256;
  constexpr int kRows = 256;
  std::vector<half_t> in(kDim * kRows);
  for (std::size_t i = 0; i < in.size(); ++i) in[i].bits = static_cast<std::uint16_t>(i);
  std::vector<float> out(in.size());
  kernels->unpack_half(in.data(), kDim, kRows, kDim, out.data());
  for (std::uint32_t i = 0; i < in.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(out[i]), float_bits_of_half(i)) << i;
  }
  for (std::uint32_t first = 0; first < in.size(); first += kDim * kBlockTokens) {
    kernels->unpack_half_transposed(in.data() + first, kDim, kDim, out.data());
    for (std::uint32_t d = 0; d < kDim; ++d) {
      for (std::uint32_t t = 0; t < kBlockTokens; ++t) {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(out[d * kBlockTokens + t]);
        ASSERT_EQ(bits, float_bits_of_half(first + t * kDim + d));
      }
    }
  }
}

TEST_P(Unpack, HalfStrides) {
  Random random(4);
  for (int dim = kMinHeadDim; dim <= kMaxHeadDim; dim += kHeadDimStep) {
    const std::int64_t stride = dim + random.below(3) * 7;
    // No slack behind the last row: a sanitizer sees a read past it.
    std::vector<half_t> in((kBlockTokens - 1) * stride + dim);
    for (half_t& x : in) x.bits = static_cast<std::uint16_t>(random.word());
    for (const int rows : {1, 3, kBlockTokens}) {
      std::vector<float> got(rows * dim + 1, 7.0f);
      std::vector<float> want = got;
      kernels->unpack_half(in.data(), stride, rows, dim, got.data());
      scalar->unpack_half(in.data(), stride, rows, dim, want.data());
      ASSERT_TRUE(same_bits(got, want)) << dim;
    }
    std::vector<float> got(dim * kBlockTokens + 1, 7.0f);
    std::vector<float> want = got;
    kernels->unpack_half_transposed(in.data(), stride, dim, got.data());
    scalar->unpack_half_transposed(in.data(), stride, dim, want.data());
    ASSERT_TRUE(same_bits(got, want)) << dim;
  }
}

}  // namespace
}  // namespace thriftattn::test
