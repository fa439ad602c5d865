// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the module's files share: one registry entry with one device.
#pragma once

#include "ggml-backend-impl.h"

namespace thriftattn::plugin {

inline constexpr const char* kDeviceName = "THRIFTATTN";

ggml_backend_dev_t device();
// A stream of the device; graph_compute runs the operations one after the other.
ggml_backend_t new_backend(ggml_backend_dev_t device);
// "ggml_backend_set_n_threads" of a backend made by new_backend.
void set_threads(ggml_backend_t backend, int threads);
// Whether graph_compute can run this node on the buffers it has.
bool supports_op(const ggml_tensor* op);

}  // namespace thriftattn::plugin
