// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "llama_model.h"

#include <ggml-backend.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "error.h"

namespace thriftattn::cli {
namespace {

constexpr std::int64_t kCachePadding = 256;  // llama.cpp's unit of cache capacity

std::int64_t padded(std::int64_t tokens) {
  return (tokens + kCachePadding - 1) / kCachePadding * kCachePadding;
}

void log_errors(ggml_log_level level, const char* text, void* verbose) {
  if (level == GGML_LOG_LEVEL_ERROR && verbose != nullptr) std::fputs(text, stderr);
}

std::string metadata(const llama_model* model, const std::string& key) {
  std::array<char, 128> value{};
  const int length = llama_model_meta_val_str(model, key.c_str(), value.data(), value.size());
  return length < 0 ? std::string() : std::string(value.data());
}

}  // namespace

void start_llama(bool verbose) {
  static char flag = 1;
  llama_log_set(log_errors, verbose ? &flag : nullptr);
  ggml_backend_load_all();
  llama_backend_init();
}

LlamaModel load_model(const std::filesystem::path& file) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = -1;
  LlamaModel model(llama_model_load_from_file(file.c_str(), params));
  if (!model) {
    throw failure("model {}: llama.cpp cannot load it (corrupt or unknown architecture)",
                  file.string());
  }
  return model;
}

LlamaContext make_context(llama_model* model, const ContextParams& params) {
  llama_context_params context = llama_context_default_params();
  context.n_ctx = static_cast<std::uint32_t>(padded(params.capacity));
  context.n_batch = static_cast<std::uint32_t>(params.chunk);
  context.n_ubatch = context.n_batch;
  context.n_seq_max = 1;
  context.n_threads = params.threads;
  context.n_threads_batch = params.threads;
  context.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  context.type_k = GGML_TYPE_F16;
  context.type_v = GGML_TYPE_F16;
  context.offload_kqv = true;
  context.swa_full = false;
  context.no_perf = true;
  context.cb_eval = params.on_node;
  context.cb_eval_user_data = params.on_node_data;
  LlamaContext result(llama_init_from_model(model, context));
  if (!result) {
    throw failure("llama.cpp cannot make a context of {} tokens (memory?)", params.capacity);
  }
  return result;
}

std::int64_t window_capacity(const llama_model* model, int chunk) {
  const int window = llama_model_n_swa(model);
  return window > 0 ? padded(window + chunk) : 0;
}

int model_head_dim(const llama_model* model) {
  const std::string architecture = metadata(model, "general.architecture");
  const std::string length = metadata(model, architecture + ".attention.key_length");
  if (!length.empty()) return std::atoi(length.c_str());
  return llama_model_n_embd(model) / llama_model_n_head(model);
}

std::vector<llama_token> tokenize(const llama_model* model, const std::string& text) {
  const llama_vocab* vocab = llama_model_get_vocab(model);
  const auto length = static_cast<std::int32_t>(text.size());
  std::vector<llama_token> tokens(text.size() + 8);
  const int count = llama_tokenize(vocab, text.data(), length, tokens.data(),
                                   static_cast<std::int32_t>(tokens.size()), true, false);
  if (count < 0) throw failure("text: the model's tokenizer refuses it");
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

}  // namespace thriftattn::cli
