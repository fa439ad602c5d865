// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "numeric/dtype.h"

#include <cstring>

#include "numeric/bfloat16.h"
#include "numeric/half.h"

namespace thriftattn::numeric {
namespace {

void decode_f32(const void* row, float* out, std::int64_t n) {
  std::memcpy(out, row, static_cast<std::size_t>(n) * sizeof(float));
}

// memcpy in place of a typed load: a row may start at any byte.
std::uint16_t load_16_bits(const void* row, std::int64_t i) {
  std::uint16_t bits;
  std::memcpy(&bits, static_cast<const unsigned char*>(row) + 2 * i, sizeof(bits));
  return bits;
}

void decode_f16(const void* row, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = half_to_float(half_t{load_16_bits(row, i)});
}

void decode_bf16(const void* row, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = bfloat16_to_float(load_16_bits(row, i));
}

}  // namespace

bool is_known(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
  }
  return "unknown";
}

std::int64_t dtype_bytes(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

RowDecoder row_decoder(DType dtype) {
  if (dtype == DType::kF16) return decode_f16;
  return dtype == DType::kBF16 ? decode_bf16 : decode_f32;
}

const void* row_at(const ConstTensorView& view, std::int64_t token, std::int64_t head) {
  const std::int64_t element = token * view.token_stride + head * view.head_stride;
  return static_cast<const unsigned char*>(view.data) + element * dtype_bytes(view.dtype);
}

void decode_row(const ConstTensorView& view, std::int64_t token, std::int64_t head, float* out) {
  row_decoder(view.dtype)(row_at(view, token, head), out, view.dim);
}

void encode_row(const float* in, const TensorView& view, std::int64_t token, std::int64_t head) {
  const std::int64_t element = token * view.token_stride + head * view.head_stride;
  auto* out = static_cast<unsigned char*>(view.data) + element * dtype_bytes(view.dtype);
  if (view.dtype == DType::kF32) {
    std::memcpy(out, in, static_cast<std::size_t>(view.dim) * sizeof(float));
    return;
  }
  for (std::int64_t i = 0; i < view.dim; ++i) {
    const std::uint16_t bits =
        view.dtype == DType::kF16 ? float_to_half(in[i]).bits : float_to_bfloat16(in[i]);
    std::memcpy(out + 2 * i, &bits, sizeof(bits));
  }
}

}  // namespace thriftattn::numeric
