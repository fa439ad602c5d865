// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Rows of stored elements to fp32 and back.
#pragma once

#include <cstdint>

#include "thriftattn/tensor.h"

namespace thriftattn::numeric {

// False for a value outside the enumeration, which a caller may have cast.
bool is_known(DType dtype);
const char* dtype_name(DType dtype);  // "f32", "f16", "bf16", "unknown"
std::int64_t dtype_bytes(DType dtype);

// The decoder of a dtype, never nullptr. Rows need no alignment.
RowDecoder row_decoder(DType dtype);

// First element of (token, head), and its [dim] elements in fp32.
const void* row_at(const ConstTensorView& view, std::int64_t token, std::int64_t head);
void decode_row(const ConstTensorView& view, std::int64_t token, std::int64_t head, float* out);
// Rounds [dim] fp32 elements to nearest even and stores them as row (token, head).
void encode_row(const float* in, const TensorView& view, std::int64_t token, std::int64_t head);

}  // namespace thriftattn::numeric
