// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "rows.h"

#include <cstring>

namespace thriftattn::plugin {
namespace {

void decode_f32(const void* row, float* out, std::int64_t n) {
  std::memcpy(out, row, static_cast<std::size_t>(n) * sizeof(float));
}
void decode_bf16(const void* row, float* out, std::int64_t n) {
  ggml_bf16_to_fp32_row(static_cast<const ggml_bf16_t*>(row), out, n);
}

}  // namespace

bool row_type_supported(ggml_type type) {
  if (type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16) return true;
  const ggml_type_traits* traits = ggml_get_type_traits(type);
  return traits->to_float && traits->from_float_ref;
}

void row_to_f32(ggml_type type, const void* row, float* out, std::int64_t n) {
  switch (type) {
    case GGML_TYPE_F32:
      return decode_f32(row, out, n);
    case GGML_TYPE_F16:
      return ggml_fp16_to_fp32_row(static_cast<const ggml_fp16_t*>(row), out, n);
    case GGML_TYPE_BF16:
      return decode_bf16(row, out, n);
    default:
      return ggml_get_type_traits(type)->to_float(row, out, n);
  }
}

void row_from_f32(ggml_type type, const float* in, void* row, std::int64_t n) {
  switch (type) {
    case GGML_TYPE_F32:
      std::memcpy(row, in, static_cast<std::size_t>(n) * sizeof(float));
      return;
    case GGML_TYPE_F16:
      return ggml_fp32_to_fp16_row(in, static_cast<ggml_fp16_t*>(row), n);
    case GGML_TYPE_BF16:
      return ggml_fp32_to_bf16_row(in, static_cast<ggml_bf16_t*>(row), n);
    default:
      return ggml_get_type_traits(type)->from_float_ref(in, row, n);
  }
}

RowDecoder row_decoder(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F16:
      return nullptr;
    case GGML_TYPE_F32:
      return decode_f32;
    case GGML_TYPE_BF16:
      return decode_bf16;
    default:
      return ggml_get_type_traits(type)->to_float;
  }
}

}  // namespace thriftattn::plugin
