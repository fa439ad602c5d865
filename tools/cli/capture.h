// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Takes what the attention of a real model's layers reads and gives, K, V, successive q and
// outputs, while the model runs over a text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "captured_layer.h"
#include "llama_model.h"
#include "module.h"

namespace thriftattn::cli {

struct CaptureConfig {
  llama_model* model = nullptr;
  std::span<const llama_token> tokens;  // at least ctx
  std::int64_t ctx = 0;
  int steps = 0;            // the last tokens, whose q is kept
  std::vector<int> layers;  // empty: every layer whose tokens see all before them
  int threads = 1;
  std::function<void(double share, const std::string& what)> on_progress;
};

// Runs the model through the module in 16 bit. Throws CliError, also where a named layer is not in
// the model or its window hides tokens.
std::vector<CapturedLayer> capture_layers(const CaptureConfig& config, const Module& module);

}  // namespace thriftattn::cli
