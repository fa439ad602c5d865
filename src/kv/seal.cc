// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv/seal.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "numeric/dtype.h"
#include "numeric/e2m1.h"
#include "numeric/e4m3.h"
#include "numeric/e8m0.h"
#include "numeric/half.h"
#include "numeric/magnitude.h"
#include "numeric/nvfp4.h"

namespace thriftattn::kv {
namespace {

using numeric::Nvfp4Group;

constexpr int kCodesPerWord = 8;

// Token exponents stay where 2^e and 2^-e are normal floats, with room for the shift of the block.
constexpr int kMinTokenExponent = -100;
constexpr int kMaxShift = 16;
// 2^(e - largest e of the block) is a normal half: decoders may hold it as one.
constexpr int kTokenExponentRange = 14;

bool is_valid(const SealInput& input, int token) { return ((input.valid >> token) & 1) != 0; }

// rows[64][head_dim], zeros where a token is not valid. False where a valid value is not finite.
bool load_rows(const SealInput& input, float* rows) {
  const RowDecoder decode =
      input.rows.decode != nullptr ? input.rows.decode : numeric::row_decoder(DType::kF16);
  const auto* data = static_cast<const std::byte*>(input.rows.data);
  bool finite = true;
  for (int token = 0; token < kBlockTokens; ++token) {
    float* row = rows + token * input.head_dim;
    if (!is_valid(input, token)) {
      std::fill_n(row, input.head_dim, 0.0f);
      continue;
    }
    decode(data + token * input.rows.stride_bytes, row, input.head_dim);
    for (int d = 0; d < input.head_dim; ++d) finite &= std::fabs(row[d]) <= kLargestValue;
  }
  return finite;
}

// Mean over the valid tokens, rounded to half (and kept finite where the rows are wider than half).
void block_mean(const SealInput& input, const float* rows, half_t* mean) {
  double sum[kMaxHeadDim] = {};
  int tokens = 0;
  for (int token = 0; token < kBlockTokens; ++token) {
    if (!is_valid(input, token)) continue;
    ++tokens;
    for (int d = 0; d < input.head_dim; ++d) sum[d] += rows[token * input.head_dim + d];
  }
  for (int d = 0; d < input.head_dim; ++d) {
    const auto value = static_cast<float>(sum[d] / std::max(tokens, 1));
    mean[d] = numeric::float_to_half(std::clamp(value, -numeric::kMaxHalf, numeric::kMaxHalf));
  }
}

void channel_bounds(const SealInput& input, const float* rows, float* low, float* high) {
  const bool any = input.valid != 0;
  std::fill_n(low, input.head_dim, any ? std::numeric_limits<float>::infinity() : 0.0f);
  std::fill_n(high, input.head_dim, any ? -std::numeric_limits<float>::infinity() : 0.0f);
  for (int token = 0; token < kBlockTokens; ++token) {
    if (!is_valid(input, token)) continue;
    for (int d = 0; d < input.head_dim; ++d) {
      low[d] = std::min(low[d], rows[token * input.head_dim + d]);
      high[d] = std::max(high[d], rows[token * input.head_dim + d]);
    }
  }
}

// A panel [contraction, lanes] to be written.
struct PanelTarget {
  std::byte* codes = nullptr;
  std::byte* scales = nullptr;
  int lanes = 0;
};

// Puts group `group` of one lane into a panel.
void store_group(const Nvfp4Group& quantized, int group, int lane, const PanelTarget& target) {
  for (int half = 0; half < kScaleGroup / kCodesPerWord; ++half) {
    std::uint32_t word = 0;
    for (int i = 0; i < kCodesPerWord; ++i) {
      word |= std::uint32_t{quantized.codes[half * kCodesPerWord + i]} << (4 * i);
    }
    const int index = (group * (kScaleGroup / kCodesPerWord) + half) * target.lanes + lane;
    std::memcpy(target.codes + index * sizeof(word), &word, sizeof(word));
  }
  target.scales[group * target.lanes + lane] = std::byte{quantized.scale};
}

// Where a group of 16 goes, and what it decodes to there, in the units of its low tier.
struct GroupTarget {
  PanelTarget low;
  PanelTarget residual;  // codes are nullptr where not wanted
  ScaleRule rule = ScaleRule::kFourOverSix;
};
struct DecodedGroup {
  float low[kScaleGroup] = {};
  float residual[kScaleGroup] = {};  // zeros where not wanted
};

// Quantises 16 values, and what that leaves of them. The difference of a value and its code is
// exact in fp32, and so is its multiple by a power of two.
DecodedGroup seal_group(const float* x, int group, int lane, const GroupTarget& target) {
  DecodedGroup decoded;
  const Nvfp4Group low = numeric::quantize_group(x, target.rule);
  store_group(low, group, lane, target.low);
  numeric::dequantize_group(low, decoded.low);
  if (target.residual.codes == nullptr) return decoded;

  const float up = numeric::power_of_two(kResidualShift);
  const float down = numeric::power_of_two(-kResidualShift);
  float left[kScaleGroup];
  for (int i = 0; i < kScaleGroup; ++i) left[i] = (x[i] - decoded.low[i]) * up;
  const Nvfp4Group residual = numeric::quantize_group(left, target.rule);
  store_group(residual, group, lane, target.residual);
  numeric::dequantize_group(residual, decoded.residual);
  for (float& r : decoded.residual) r *= down;
  return decoded;
}

// Largest squared norms over the tokens of a block.
struct WorstSquares {
  double error = 0;
  double nested_error = 0;
  double norm = 0;
  void take(const WorstSquares& token) {
    error = std::max(error, token.error);
    nested_error = std::max(nested_error, token.nested_error);
    norm = std::max(norm, token.norm);
  }
};

PanelTarget residual_target(std::byte* part, const TileLayout& layout, int lanes) {
  if (part == nullptr) return {};
  return {part, part + layout.residual_scales(), lanes};
}

// Square root of a sum of squares as a float that is never below it. The factor covers the rounding
// of the sum (at most 256 terms, each within 2^-52) and of the root.
float norm_rounded_up(double squares) {
  const double norm = std::sqrt(squares) * (1.0 + 0x1p-44);
  const auto rounded = static_cast<float>(norm);
  return rounded < norm ? std::nextafter(rounded, std::numeric_limits<float>::infinity()) : rounded;
}

// The power of two next to rms(row), by the exact rule 2^(e - 1/2) <= rms < 2^(e + 1/2).
int token_exponent(const float* row, int head_dim) {
  double squares = 0;
  for (int d = 0; d < head_dim; ++d) squares += static_cast<double>(row[d]) * row[d];
  if (squares == 0) return kMinTokenExponent;
  int exponent = 0;
  std::frexp(squares / head_dim, &exponent);
  return std::max(exponent >> 1, kMinTokenExponent);
}

// exponents[64] of V. A token that is smaller than 2^-14 of the largest one keeps that distance:
// its values lie below the resolution of a group that it shares. A shift of the whole block puts
// its largest scale just below 448, which leaves the most room above the smallest one.
void value_exponents(const SealInput& input, const float* rows, int* exponents) {
  const int head_dim = input.head_dim;
  const ScaleRule rule = input.numerics.scale_rule;
  if (!input.numerics.token_norms) {
    const float amax = numeric::largest_magnitude(rows, kBlockTokens * head_dim);
    std::fill_n(exponents, kBlockTokens, numeric::scale_exponent(amax, rule));
    return;
  }
  for (int token = 0; token < kBlockTokens; ++token) {
    exponents[token] = token_exponent(rows + token * head_dim, head_dim);
  }
  const int smallest = *std::max_element(exponents, exponents + kBlockTokens) - kTokenExponentRange;
  float amax = 0;
  for (int token = 0; token < kBlockTokens; ++token) {
    const float* row = rows + token * head_dim;
    exponents[token] = std::max(exponents[token], smallest);
    const float unit = numeric::power_of_two(-exponents[token]);
    amax = std::max(amax, numeric::largest_magnitude(row, head_dim) * unit);
  }
  const int shift = std::clamp(numeric::scale_exponent(amax, rule), -kMaxShift, kMaxShift);
  for (int token = 0; token < kBlockTokens; ++token) exponents[token] += shift;
}

}  // namespace

bool seal_keys(const SealInput& input, const KeyTarget& target, BlockRecord& record) {
  const TileLayout layout{input.head_dim};
  float rows[kBlockTokens * kMaxHeadDim];
  if (!load_rows(input, rows)) return false;

  block_mean(input, rows, target.block_mean);
  if (target.channel_min != nullptr) {
    channel_bounds(input, rows, target.channel_min, target.channel_max);
  }
  half_t stored_mean[kMaxHeadDim] = {};
  float mean[kMaxHeadDim] = {};
  if (input.numerics.centre_k) {
    std::copy_n(target.block_mean, input.head_dim, stored_mean);
    for (int d = 0; d < input.head_dim; ++d) mean[d] = numeric::half_to_float(stored_mean[d]);
  }
  std::memcpy(target.tile + layout.k_mean(), stored_mean, sizeof(half_t) * input.head_dim);

  float amax = 0;
  for (int token = 0; token < kBlockTokens; ++token) {
    for (int d = 0; d < input.head_dim && is_valid(input, token); ++d) {
      amax = std::max(amax, std::fabs(rows[token * input.head_dim + d] - mean[d]));
    }
  }
  record.k_exponent = numeric::scale_exponent(amax, input.numerics.scale_rule);
  const float down = numeric::power_of_two(-record.k_exponent);
  const double up = numeric::power_of_two(record.k_exponent);

  const GroupTarget tiers{.low = {target.tile, target.tile + layout.k_scales(), kBlockTokens},
                          .residual = residual_target(target.residual, layout, kBlockTokens),
                          .rule = input.numerics.scale_rule};
  WorstSquares worst;
  for (int token = 0; token < kBlockTokens; ++token) {
    const float* row = rows + token * input.head_dim;
    const bool valid = is_valid(input, token);
    WorstSquares squares;
    for (int begin = 0; begin < input.head_dim; begin += kScaleGroup) {
      float x[kScaleGroup] = {};
      for (int i = 0; i < kScaleGroup && valid; ++i)
        x[i] = (row[begin + i] - mean[begin + i]) * down;
      const DecodedGroup group = seal_group(x, begin / kScaleGroup, token, tiers);
      for (int i = 0; i < kScaleGroup && valid; ++i) {
        const double decoded = mean[begin + i] + up * group.low[i];
        const double difference = row[begin + i] - decoded;
        const double left = difference - up * group.residual[i];
        squares.error += difference * difference;
        squares.nested_error += left * left;
        squares.norm += decoded * decoded;
      }
    }
    worst.take(squares);
  }
  record.error_k = norm_rounded_up(worst.error);
  record.max_k = norm_rounded_up(worst.norm);
  record.nested_error_k = target.residual != nullptr ? norm_rounded_up(worst.nested_error) : 0.0f;
  return true;
}

bool seal_values(const SealInput& input, const ValueTarget& target, BlockRecord& record) {
  const TileLayout layout{input.head_dim};
  float rows[kBlockTokens * kMaxHeadDim];
  if (!load_rows(input, rows)) return false;

  int exponents[kBlockTokens];
  value_exponents(input, rows, exponents);
  for (int token = 0; token < kBlockTokens; ++token) {
    target.tile[layout.v_exponents() + token] =
        std::byte{numeric::exponent_to_e8m0(exponents[token])};
  }

  const GroupTarget tiers{.low = {target.tile, target.tile + layout.v_scales(), input.head_dim},
                          .residual = residual_target(target.residual, layout, input.head_dim),
                          .rule = input.numerics.scale_rule};
  WorstSquares tokens[kBlockTokens];
  for (int begin = 0; begin < kBlockTokens; begin += kScaleGroup) {
    float down[kScaleGroup];
    float up[kScaleGroup];
    for (int i = 0; i < kScaleGroup; ++i) {
      down[i] = numeric::power_of_two(-exponents[begin + i]);
      up[i] = numeric::power_of_two(exponents[begin + i]);
    }
    for (int d = 0; d < input.head_dim; ++d) {
      const float* column = rows + begin * input.head_dim + d;
      float x[kScaleGroup];
      for (int i = 0; i < kScaleGroup; ++i) x[i] = column[i * input.head_dim] * down[i];
      const DecodedGroup group = seal_group(x, begin / kScaleGroup, d, tiers);
      for (int i = 0; i < kScaleGroup; ++i) {
        const double value = column[i * input.head_dim];
        const double difference = value - static_cast<double>(up[i]) * group.low[i];
        const double left = difference - static_cast<double>(up[i]) * group.residual[i];
        WorstSquares& squares = tokens[begin + i];
        squares.error += difference * difference;
        squares.nested_error += left * left;
        squares.norm += value * value;
      }
    }
  }
  WorstSquares worst;
  for (const WorstSquares& token : tokens) worst.take(token);
  record.error_v = norm_rounded_up(worst.error);
  record.max_v = norm_rounded_up(worst.norm);
  record.nested_error_v = target.residual != nullptr ? norm_rounded_up(worst.nested_error) : 0.0f;
  return true;
}

}  // namespace thriftattn::kv
