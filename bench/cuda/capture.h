// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// K, V and q of a real model's layers on the device, from files of `thriftattn inspect --capture`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/synthetic.h"

namespace thriftattn::bench {

// Device memory, half; held until the program ends.
struct Capture {
  int layer = 0;
  DataShape shape;
  void* k = nullptr;  // [kv_len, kv_heads, head_dim]
  void* v = nullptr;  // [kv_len, kv_heads, head_dim]
  // [kSteps, q_heads, head_dim], of the last tokens: all see the whole of k, up to seven tokens
  // behind their own.
  void* q = nullptr;
};

// The layers of a file. Throws std::runtime_error, naming the file, where it is no capture or has
// fewer than kSteps rows of q.
std::vector<Capture> load_captures(const std::string& file);

// What make_rows and make_queries do for data that is made up: the same rows for each sequence of a
// batch.
void copy_rows(const Capture& capture, std::int64_t first, std::int64_t tokens, void* k, void* v,
               cudaStream_t stream);
void copy_queries(const Capture& capture, int batch, int step, void* q, cudaStream_t stream);

}  // namespace thriftattn::bench
