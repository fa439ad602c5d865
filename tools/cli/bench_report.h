// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The report of `thriftattn bench attend`, the same for every device.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench_options.h"

namespace thriftattn::cli {

// What ran the arms.
struct BenchPlace {
  std::string text;             // ends the table's first line
  nlohmann::ordered_json json;  // what describes it
};

// Prints the table and writes --json.
void report_bench(const BenchOptions& options, const BenchPlace& place,
                  const std::vector<BenchArm>& arms);

}  // namespace thriftattn::cli
