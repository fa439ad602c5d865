// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A loaded llama.cpp model and its contexts, freed with their owners.
#pragma once

#include <llama.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace thriftattn::cli {

struct LlamaDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
};
using LlamaModel = std::unique_ptr<llama_model, LlamaDeleter>;
using LlamaContext = std::unique_ptr<llama_context, LlamaDeleter>;

// Once, before anything else of llama.cpp: only its errors are printed from here on, and only where
// `verbose`, since the command says in its own line what failed.
void start_llama(bool verbose);

// Throws CliError.
LlamaModel load_model(const std::filesystem::path& file);

struct ContextParams {
  std::int64_t capacity = 0;  // tokens
  int chunk = 0;              // tokens of one llama_decode, at most
  int threads = 1;
  // Asked about each node of a graph and called for those that it wants; nullptr = nobody asks.
  ggml_backend_sched_eval_callback on_node = nullptr;
  void* on_node_data = nullptr;
};
// A context whose KV cache is 16 bit and belongs to the module. Throws CliError.
LlamaContext make_context(llama_model* model, const ContextParams& params);

// Capacity of the caches of the model's sliding-window layers for such a context, or 0 if it has
// none.
std::int64_t window_capacity(const llama_model* model, int chunk);

// Numbers of the model's attention, from its metadata.
int model_head_dim(const llama_model* model);

std::vector<llama_token> tokenize(const llama_model* model, const std::string& text);

}  // namespace thriftattn::cli
