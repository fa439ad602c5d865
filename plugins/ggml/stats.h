// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Counters of the process, for thriftattn_get_stats and for the lines at exit.
#pragma once

#include "thriftattn/attention.h"
#include "thriftattn_ggml.h"

namespace thriftattn::plugin {

using Stats = thriftattn_ggml_stats;

Stats current_stats();
// Memory totals survive: they describe caches that still exist.
void reset_stats();
// Adds every counter of `delta`; struct_size is ignored. Safe from any thread.
void count(const Stats& delta);
void count(std::int64_t Stats::*counter, std::int64_t n);
void add_report(Stats& stats, const AttendReport& report);
// A few lines on stderr, nothing where nothing ran.
void print_stats();

}  // namespace thriftattn::plugin
