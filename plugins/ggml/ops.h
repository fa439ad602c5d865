// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The operations of a graph that write a KV cache or read it.
#pragma once

#include <string>

#include "ggml.h"
#include "thriftattn/executor.h"

namespace thriftattn::plugin {

// Whether these nodes have shapes and types that the functions below take.
bool set_rows_supported(const ggml_tensor* op);
bool rope_supported(const ggml_tensor* op);
bool cpy_supported(const ggml_tensor* op);
bool flash_attention_supported(const ggml_tensor* op);

// New tokens: rows of src[0] go to the rows of the cache that src[1] names.
void set_rows(const ggml_tensor* op, Executor& executor);
// Context shift of an unquantised cache: rotation in place, NORMAL or NEOX pairs, YaRN, frequency
// factors.
void rope(const ggml_tensor* op, Executor& executor);
// Context shift of a quantised cache: fp32 back into its rows.
void cpy(const ggml_tensor* op, Executor& executor);

// An error message, empty on success.
std::string flash_attention(const ggml_tensor* op, Executor& executor);

}  // namespace thriftattn::plugin
