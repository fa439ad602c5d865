// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "stats.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <mutex>

namespace thriftattn::plugin {
namespace {

struct Process {
  std::mutex mutex;
  Stats stats = {};
};
Process& process() {
  static Process instance;
  return instance;
}

constexpr std::int64_t Stats::*kCounters[] = {&Stats::attention_calls,
                                              &Stats::exact_calls,
                                              &Stats::set_rows,
                                              &Stats::rope,
                                              &Stats::cpy,
                                              &Stats::sealed_blocks,
                                              &Stats::verified_blocks,
                                              &Stats::stale_blocks,
                                              &Stats::rows,
                                              &Stats::units,
                                              &Stats::blocks,
                                              &Stats::forced,
                                              &Stats::promoted_k,
                                              &Stats::promoted_v,
                                              &Stats::tail,
                                              &Stats::bytes_low,
                                              &Stats::bytes_high,
                                              &Stats::low_bytes_total,
                                              &Stats::high_bytes_total};
constexpr double Stats::*kSums[] = {&Stats::mass_covered, &Stats::mass_tail,
                                    &Stats::attention_seconds};

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

}  // namespace

Stats current_stats() {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  Stats stats = p.stats;
  stats.struct_size = sizeof(Stats);
  return stats;
}

void reset_stats() {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  const Stats old = p.stats;
  p.stats = {};
  p.stats.low_bytes_total = old.low_bytes_total;
  p.stats.high_bytes_total = old.high_bytes_total;
}

void count(const Stats& delta) {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  for (const auto counter : kCounters) p.stats.*counter += delta.*counter;
  for (const auto sum : kSums) p.stats.*sum += delta.*sum;
}

void count(std::int64_t Stats::*counter, std::int64_t n) {
  Stats delta = {};
  delta.*counter = n;
  count(delta);
}

void add_report(Stats& stats, const AttendReport& report) {
  stats.rows += report.rows;
  stats.units += report.units;
  stats.blocks += report.blocks;
  stats.forced += report.forced;
  stats.promoted_k += report.promoted_k;
  stats.promoted_v += report.promoted_v;
  stats.tail += report.tail;
  stats.bytes_low += report.bytes_low;
  stats.bytes_high += report.bytes_high;
  stats.mass_covered += report.mass_covered;
  stats.mass_tail += report.mass_tail;
}

void print_stats() {
  const Stats s = current_stats();
  if (s.attention_calls == 0) {
    std::fprintf(stderr, "thriftattn: no attention call reached the module\n");
    return;
  }
  const auto blocks = static_cast<double>(s.blocks);
  const auto rows = static_cast<double>(s.rows);
  const double unforced = blocks - static_cast<double>(s.forced);
  std::fprintf(stderr,
               "thriftattn: %" PRId64 " attention calls (%" PRId64
               " in 16 bit) in %.3f s; writes: %" PRId64 " set_rows, %" PRId64 " rope, %" PRId64
               " cpy; %" PRId64 " blocks sealed\n",
               s.attention_calls, s.exact_calls, s.attention_seconds, s.set_rows, s.rope, s.cpy,
               s.sealed_blocks);
  std::fprintf(stderr,
               "thriftattn: of visible blocks %.2f %% forced, %.2f %% in the tail; of the others K "
               "promoted %.2f %%, V %.2f %%; mass covered %.4f, dropped %.5f\n",
               percent(static_cast<double>(s.forced), blocks),
               percent(static_cast<double>(s.tail), blocks),
               percent(static_cast<double>(s.promoted_k), unforced),
               percent(static_cast<double>(s.promoted_v), unforced),
               s.mass_covered / std::max(rows, 1.0), s.mass_tail / std::max(rows, 1.0));
  std::fprintf(stderr, "thriftattn: read %.3f GB of the low tier and %.3f GB of the high tier\n",
               static_cast<double>(s.bytes_low) * 1e-9, static_cast<double>(s.bytes_high) * 1e-9);
  if (s.verified_blocks > 0) {
    std::fprintf(stderr, "thriftattn: %" PRId64 " blocks verified, %" PRId64 " stale\n",
                 s.verified_blocks, s.stale_blocks);
  }
}

}  // namespace thriftattn::plugin
