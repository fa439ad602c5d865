// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the attention of a real model's layer reads and gives, and the files that carry it to where
// there is no model: tests and benchmarks on a GPU machine. Needs the standard library alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "safetensors.h"
#include "thriftattn/formats.h"
#include "thriftattn/status.h"

namespace thriftattn::cli {

// Row i of q and out belongs to token ctx - steps + i, which sees itself and all before.
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
    return static_cast<std::int64_t>(k.size()) / (std::int64_t{kv_heads} * head_dim);
  }
  [[nodiscard]] std::int64_t steps() const {
    return static_cast<std::int64_t>(q.size()) / (std::int64_t{q_heads} * head_dim);
  }
};

// Tensors layer.N.k, v (F16), q and out (F32); metadata layer.N.softmax_scale, and what is given.
SafeTensors to_tensors(std::span<const CapturedLayer> layers,
                       std::map<std::string, std::string> metadata);
// The layers of such content, by number. Fails, naming the tensor, where one is missing or does
// not fit the others, and where there is none.
Result<std::vector<CapturedLayer>> from_tensors(const SafeTensors& content);
// Those of a file, which errors name too.
Result<std::vector<CapturedLayer>> read_captured_layers(const std::filesystem::path& path);

// Bytes of one layer in such a file.
std::int64_t captured_bytes(std::int64_t ctx, int steps, int q_heads, int kv_heads, int head_dim);

}  // namespace thriftattn::cli
