// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Options of the process: the environment first, then whatever a host sets through
// thriftattn_ggml.h.
#pragma once

#include <string>

#include "thriftattn/attention.h"
#include "thriftattn_ggml.h"

namespace thriftattn::plugin {

enum class Writer : std::uint8_t;  // buffer.h

using Options = thriftattn_ggml_options;

// The preset of a name ("thrift", "paper", "fp4", "fp4_all", "exact"); false for an unknown one.
bool preset(const std::string& name, Options& options);

// Empty where the options make sense, else what, got, supported.
std::string check(const Options& options);

Options current_options();
// As thriftattn_set_options_t says.
const char* set_options(const Options* options);

// Reads THRIFTATTN_* variables. An error message, empty on success.
std::string load_environment();

// Switches that are read once, by load_environment.
bool statistics_at_exit();  // THRIFTATTN_STATS=1
bool accept_unallocated();  // THRIFTATTN_ANYBUF=1: operator tests ask before they allocate
Writer dropped_hook();      // THRIFTATTN_TEST_DROP_HOOK: breaks coherence on purpose, for tests

Numerics numerics_of(const Options& options);
AttendOptions attend_options(const Options& options);

}  // namespace thriftattn::plugin
