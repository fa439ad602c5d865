// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// thriftattn inspect --model: how the layers of a real model attend, and captures of them.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace thriftattn::cli {

struct ModelInspection {
  std::string model;  // empty: made-up data is inspected instead
  std::string text;
  std::int64_t ctx = 4096;
  int steps = 32;
  std::vector<int> layers;
  std::string capture;
  int capture_mib = 48;
  int threads = 0;
};

void add_model_options(CLI::App& inspect, ModelInspection& options);
// Prints a line for each layer and writes the capture where one is asked for. Throws CliError.
void inspect_model(ModelInspection options);

}  // namespace thriftattn::cli
