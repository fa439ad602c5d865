// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Rows of ggml tensors: conversion to and from fp32, and where a tensor lives.
#pragma once

#include <cstdint>

#include "ggml-backend.h"
#include "ggml.h"
#include "thriftattn/tensor.h"

namespace thriftattn::plugin {

// Whether rows of this type can be both read and written.
bool row_type_supported(ggml_type type);
void row_to_f32(ggml_type type, const void* row, float* out, std::int64_t n);
void row_from_f32(ggml_type type, const float* in, void* row, std::int64_t n);

// What attend needs to read rows of this type; nullptr means IEEE half, which it reads itself.
RowDecoder row_decoder(ggml_type type);

// A view belongs to the tensor that owns its memory.
inline const ggml_tensor* root_of(const ggml_tensor* t) { return t->view_src ? t->view_src : t; }
inline ggml_backend_buffer_t buffer_of(const ggml_tensor* t) { return root_of(t)->buffer; }

// Element (0, i1, i2, i3).
inline char* row_at(const ggml_tensor* t, std::int64_t i1, std::int64_t i2, std::int64_t i3) {
  return static_cast<char*>(t->data) + i1 * static_cast<std::int64_t>(t->nb[1]) +
         i2 * static_cast<std::int64_t>(t->nb[2]) + i3 * static_cast<std::int64_t>(t->nb[3]);
}

}  // namespace thriftattn::plugin
