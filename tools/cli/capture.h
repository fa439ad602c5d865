// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the attention of a real model reads and gives: K, V, successive q and outputs of some
// layers, taken while the model runs over a text. Files of it let tests and benchmarks replay a
// model where there is none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "llama_model.h"
#include "module.h"
#include "safetensors.h"
#include "thriftattn/formats.h"

namespace thriftattn::cli {

// One layer. Row i of q and out belongs to token ctx - steps + i, which sees itself and all before.
struct CapturedLayer {
  int layer = 0;
  int q_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float softmax_scale = 0;
  std::vector<half_t> k;   // [ctx, kv_heads, head_dim]
  std::vector<half_t> v;   // [ctx, kv_heads, head_dim]
  std::vector<float> q;    // [steps, q_heads, head_dim]
  std::vector<float> out;  // [steps, q_heads, head_dim], 16-bit attention

  [[nodiscard]] std::int64_t ctx() const {
    return static_cast<std::int64_t>(k.size()) / (kv_heads * head_dim);
  }
  [[nodiscard]] std::int64_t steps() const {
    return static_cast<std::int64_t>(q.size()) / (q_heads * head_dim);
  }
};

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

// Tensors layer.N.k, v (F16), q and out (F32); metadata layer.N.softmax_scale, and what is given.
SafeTensors to_tensors(std::span<const CapturedLayer> layers,
                       std::map<std::string, std::string> metadata);
// Bytes of one layer in such a file.
std::int64_t captured_bytes(std::int64_t ctx, int steps, int q_heads, int kv_heads, int head_dim);

}  // namespace thriftattn::cli
