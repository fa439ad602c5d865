// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "bench_report.h"

#include <fmt/format.h>

#include "files.h"
#include "metrics.h"
#include "version_text.h"

namespace thriftattn::cli {
namespace {

double covered(const AttendReport& report) {
  return report.mass_covered / static_cast<double>(report.rows);
}

nlohmann::ordered_json to_json(const BenchOptions& options, const BenchPlace& place,
                               const std::vector<BenchArm>& arms) {
  nlohmann::ordered_json json = {{"op", "attend"},
                                 {"device", options.device},
                                 {"q_heads", options.shape.q_heads},
                                 {"kv_heads", options.shape.kv_heads},
                                 {"head_dim", options.shape.head_dim},
                                 {"kv_len", options.kv_len},
                                 {"batch", options.batch},
                                 {"repeats", options.repeats},
                                 {"policy", options.policy},
                                 {"mode", options.mode},
                                 {"budget", options.budget},
                                 {"tau", options.tau}};
  json.update(place.json);
  json["version"] = version_text();
  for (const BenchArm& arm : arms) {
    nlohmann::ordered_json row = {{"name", arm.name},
                                  {"us", median(arm.us)},
                                  {"us_mad", median_deviation(arm.us)},
                                  {"bytes", arm.bytes},
                                  {"gb_per_s", arm.bytes / median(arm.us) / 1e3}};
    if (arm.report) {
      row["promoted_share"] = arm.report->promoted_share();
      row["tail_share"] = arm.report->tail_share();
      row["mass_covered"] = covered(*arm.report);
    }
    row["distance"] = relative_distance(arm.output, arms[0].output);
    json["arms"].push_back(row);
  }
  return json;
}

void print_table(const BenchOptions& options, const BenchPlace& place,
                 const std::vector<BenchArm>& arms) {
  fmt::print(
      "decode b{} q{}/{} d{} kv{}, {}\n"
      "one layer, median of {} rounds and median deviation; promoted of what was not forced, tail "
      "of all blocks,\nmass in the high tier; distance to the first arm's output\n\n",
      options.batch, options.shape.q_heads, options.shape.kv_heads, options.shape.head_dim,
      options.kv_len, place.text, options.repeats);
  const bool peer = arms.back().name == "ggml";
  fmt::print("{:<14} {:>10} {:>8} {:>9} {:>8} {:>9} {:>6} {:>6} {:>9} {:>7}\n", "arm", "us", "+-",
             "KiB read", "GB/s", "promoted", "tail", "mass", "distance", peer ? "x ggml" : "");
  for (const BenchArm& arm : arms) {
    const double us = median(arm.us);
    const std::string ratio = peer ? fmt::format("{:.2f}", median(arms.back().us) / us) : "";
    std::string shares = fmt::format("{:>23}", "");
    if (arm.report) {
      shares = fmt::format("{:>7.1f} % {:>4.0f} % {:>4.0f} %", 100 * arm.report->promoted_share(),
                           100 * arm.report->tail_share(), 100 * covered(*arm.report));
    }
    fmt::print("{:<14} {:>10.1f} {:>8.1f} {:>9.0f} {:>8.2f} {} {:>9.1e} {:>7}\n", arm.name, us,
               median_deviation(arm.us), arm.bytes / 1024, arm.bytes / us / 1e3, shares,
               relative_distance(arm.output, arms[0].output), ratio);
  }
}

}  // namespace

void report_bench(const BenchOptions& options, const BenchPlace& place,
                  const std::vector<BenchArm>& arms) {
  print_table(options, place, arms);
  if (!options.json.empty()) {
    write_file(options.json, to_json(options, place, arms).dump(2) + "\n");
  }
}

}  // namespace thriftattn::cli
