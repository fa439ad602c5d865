// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Preloaded by a test: a ggml that says it is from the future.
extern "C" const char* ggml_version() { return "99.0.0"; }
