// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "oracle/formats_f64.h"

#include <bit>
#include <cmath>
#include <limits>

namespace thriftattn::oracle {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// An IEEE-like number of exponent_bits and mantissa_bits; inf and NaN are the caller's.
double decode_binary(unsigned bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = static_cast<int>(bits & ((1u << mantissa_bits) - 1));
  const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const bool negative = ((bits >> (mantissa_bits + exponent_bits)) & 1u) != 0;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                    : std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
  return negative ? -magnitude : magnitude;
}

// Nearest even by exact scaling: the spacing of the target at |x| is a power of two.
std::uint16_t encode_binary(double x, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto sign = static_cast<std::uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const auto infinity = static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  if (std::isnan(x))
    return static_cast<std::uint16_t>(sign | infinity | (1 << (mantissa_bits - 1)));
  if (std::isinf(x)) return static_cast<std::uint16_t>(sign | infinity);
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
  const double steps = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
  // A carry into the next binade is the same addition.
  const auto bits = static_cast<std::int64_t>(steps) +
                    (static_cast<std::int64_t>(exponent + bias - 1) << mantissa_bits);
  return static_cast<std::uint16_t>(sign | std::min<std::int64_t>(bits, infinity));
}

}  // namespace

double decode_e2m1(unsigned code) { return decode_binary(code & 0xf, 2, 1); }

double decode_e4m3(std::uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return kNaN;
  return decode_binary(bits, 4, 3);
}

double decode_e8m0(std::uint8_t bits) { return bits == 0xff ? kNaN : std::ldexp(1.0, bits - 127); }

double decode_half(std::uint16_t bits) {
  if ((bits & 0x7c00) != 0x7c00) return decode_binary(bits, 5, 10);
  if ((bits & 0x3ff) != 0) return kNaN;
  const double infinity = std::numeric_limits<double>::infinity();
  return (bits & 0x8000) != 0 ? -infinity : infinity;
}

double decode_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t encode_half(double x) { return encode_binary(x, 5, 10); }
std::uint16_t encode_bfloat16(double x) { return encode_binary(x, 8, 7); }

double panel_element(const Nvfp4Panel& panel, int i, int lane) {
  const std::uint32_t word = panel.codes[(i / 8) * panel.lanes + lane];
  return decode_e2m1(word >> (4 * (i % 8))) *
         decode_e4m3(panel.scales[(i / kScaleGroup) * panel.lanes + lane]);
}

std::vector<double> decode_low_k(const LowTile& tile) {
  const int head_dim = tile.k.contraction;
  std::vector<double> k(static_cast<std::size_t>(kBlockTokens * head_dim));
  for (int t = 0; t < kBlockTokens; ++t) {
    for (int d = 0; d < head_dim; ++d) {
      k[t * head_dim + d] = decode_half(tile.k_mean[d].bits) +
                            std::ldexp(panel_element(tile.k, d, t), tile.k_exponent);
    }
  }
  return k;
}

std::vector<double> decode_low_v(const LowTile& tile) {
  const int head_dim = tile.v.lanes;
  std::vector<double> v(static_cast<std::size_t>(kBlockTokens * head_dim));
  for (int t = 0; t < kBlockTokens; ++t) {
    const double norm = decode_e8m0(tile.v_exponents[t]);
    for (int d = 0; d < head_dim; ++d) v[t * head_dim + d] = norm * panel_element(tile.v, t, d);
  }
  return v;
}

std::vector<double> decode_residual_k(const ResidualTile& tile) {
  const int head_dim = tile.k.contraction;
  std::vector<double> k(static_cast<std::size_t>(kBlockTokens * head_dim));
  for (int t = 0; t < kBlockTokens; ++t) {
    for (int d = 0; d < head_dim; ++d) {
      k[t * head_dim + d] = std::ldexp(panel_element(tile.k, d, t), tile.k_exponent);
    }
  }
  return k;
}

std::vector<double> decode_residual_v(const ResidualTile& tile, const LowTile& low) {
  const int head_dim = tile.v.lanes;
  std::vector<double> v(static_cast<std::size_t>(kBlockTokens * head_dim));
  for (int t = 0; t < kBlockTokens; ++t) {
    const double norm = decode_e8m0(low.v_exponents[t]) / 4;
    for (int d = 0; d < head_dim; ++d) v[t * head_dim + d] = norm * panel_element(tile.v, t, d);
  }
  return v;
}

std::vector<double> decode_rows(const RowsView& rows, int head_dim) {
  std::vector<double> x(static_cast<std::size_t>(kBlockTokens * head_dim));
  std::vector<float> row(static_cast<std::size_t>(head_dim));
  for (int t = 0; t < kBlockTokens; ++t) {
    const char* bytes = static_cast<const char*>(rows.data) + t * rows.stride_bytes;
    if (rows.decode != nullptr) {
      rows.decode(bytes, row.data(), head_dim);
      for (int d = 0; d < head_dim; ++d) x[t * head_dim + d] = row[d];
    } else {
      const auto* halves = reinterpret_cast<const half_t*>(bytes);
      for (int d = 0; d < head_dim; ++d) x[t * head_dim + d] = decode_half(halves[d].bits);
    }
  }
  return x;
}

}  // namespace thriftattn::oracle
