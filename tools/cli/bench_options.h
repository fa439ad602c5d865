// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What `thriftattn bench attend` is asked for, and what its arms mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "synthetic.h"
#include "thriftattn/attention.h"

namespace thriftattn::cli {

struct BenchOptions {
  std::string device = "cpu";
  std::string model_shape;
  Shape shape;
  std::int64_t kv_len = 8192;
  int batch = 1;
  int layers = 1;
  int threads = 0;
  int repeats = 15;
  std::string isa;
  std::vector<std::string> arms = {"fp16", "low_only", "thrift"};
  std::string policy = "fp4_mass";
  std::string mode = "kv4";
  double budget = 0.05;
  double tau = 0.01;
  std::string peer;
  std::string json;
  std::uint64_t seed = 1;
  std::string profile;             // cuda only
  std::optional<double> turnover;  // in %; cuda only
};

struct BenchArm {
  std::string name;
  double bytes = 0;                    // read for one layer
  std::optional<AttendReport> report;  // of an untimed call; a peer has none
  std::vector<float> output;           // [q_heads, head_dim] of the first sequence
  std::vector<double> us;              // one layer, one of each repeat
};

// Throws CliError for what the device cannot do, naming what it can. Needs no device.
void check_device_options(const BenchOptions& options);
// Throws CliError for an unknown arm, and one that the device does not have.
Selection selection_of(const std::string& arm, const BenchOptions& options);

}  // namespace thriftattn::cli
