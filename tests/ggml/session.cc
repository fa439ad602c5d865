// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace thriftattn::testing {
namespace {

constexpr int kBatch = 256;

void print_errors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

std::string expand_weights() {
  namespace fs = std::filesystem;
  const char* folder = std::getenv("THRIFTATTN_MODELS");
  const fs::path source =
      fs::path(folder ? folder : THRIFTATTN_TEST_MODELS) / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(source)) return {};
  const fs::path expanded = fs::path(THRIFTATTN_TEST_SCRATCH) / "smollm2.f32.gguf";
  if (fs::exists(expanded)) return expanded.string();
  const fs::path part = expanded.string() + ".part";
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_ALL_F32;
  params.allow_requantize = true;
  if (llama_model_quantize(source.c_str(), part.c_str(), &params) != 0) return {};
  fs::rename(part, expanded);
  return expanded.string();
}

std::string read_text() {
  std::ifstream file(THRIFTATTN_TEST_TEXT);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

const std::string& model_path() {
  static const std::string path = [] {
    llama_log_set(print_errors, nullptr);
    llama_backend_init();
    return expand_weights();
  }();
  return path;
}

ggml_backend_reg_t module_registry() {
  static const ggml_backend_reg_t registry = ggml_backend_load(THRIFTATTN_MODULE);
  if (!registry) {
    std::fputs("cannot load " THRIFTATTN_MODULE "\n", stderr);
    std::exit(1);
  }
  return registry;
}

thriftattn_ggml_options module_options() {
  thriftattn_ggml_options options = {};
  options.struct_size = sizeof(options);
  module_function<thriftattn_get_options_t>("thriftattn_get_options")(&options);
  return options;
}

void set_module_options(const thriftattn_ggml_options& options) {
  const char* error = module_function<thriftattn_set_options_t>("thriftattn_set_options")(&options);
  if (!error) return;
  std::fprintf(stderr, "thriftattn_set_options: %s\n", error);
  std::exit(1);
}

thriftattn_ggml_stats module_stats() {
  thriftattn_ggml_stats stats = {};
  stats.struct_size = sizeof(stats);
  module_function<thriftattn_get_stats_t>("thriftattn_get_stats")(&stats);
  return stats;
}

void reset_module_stats() { module_function<thriftattn_reset_stats_t>("thriftattn_reset_stats")(); }

Session::Session(Where where, const CacheKind& kind, int context_tokens) {
  ggml_backend_dev_t devices[2] = {nullptr, nullptr};
  if (where == Where::kModule) devices[0] = ggml_backend_reg_dev_get(module_registry(), 0);
  llama_model_params model = llama_model_default_params();
  model.devices = devices;
  model_ = llama_model_load_from_file(model_path().c_str(), model);
  vocab_ = llama_model_get_vocab(model_);

  llama_context_params context = llama_context_default_params();
  context.n_ctx = context_tokens;
  context.n_batch = 4 * kBatch;
  context.n_ubatch = kBatch;
  context.n_seq_max = 4;
  context.kv_unified = kind.unified;
  context.type_k = context.type_v = kind.type;
  context.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  context.n_threads = context.n_threads_batch = 2;
  context_ = llama_init_from_model(model_, context);

  const std::string text = read_text();
  text_.resize(text.size());
  text_.resize(llama_tokenize(vocab_, text.data(), static_cast<int>(text.size()), text_.data(),
                              static_cast<int>(text_.size()), true, true));
}

Session::~Session() {
  llama_free(context_);
  llama_model_free(model_);
}

std::vector<llama_token> Session::text(int first, int count) const {
  return {text_.begin() + first, text_.begin() + first + count};
}

bool Session::decode(const std::vector<llama_token>& tokens, const std::vector<llama_pos>& first,
                     const std::vector<llama_seq_id>& sequences) {
  const int count = static_cast<int>(tokens.size());
  const int streams = static_cast<int>(sequences.size());
  for (int begin = 0; begin < count; begin += kBatch) {
    const int n = std::min(kBatch, count - begin);
    llama_batch batch = llama_batch_init(n * streams, 0, 1);
    for (int i = 0; i < n; ++i) {
      for (int s = 0; s < streams; ++s) {
        const int k = batch.n_tokens++;
        batch.token[k] = tokens[begin + i];
        batch.pos[k] = first[s] + begin + i;
        batch.n_seq_id[k] = 1;
        batch.seq_id[k][0] = sequences[s];
        batch.logits[k] = begin + i + 1 == count;
      }
    }
    const int result = llama_decode(context_, batch);
    for (int s = 0; s < streams && result == 0 && begin + n == count; ++s) {
      const float* logits = llama_get_logits_ith(context_, batch.n_tokens - streams + s);
      outputs_.emplace_back(logits, logits + vocabulary());
    }
    llama_batch_free(batch);
    if (result != 0) return false;
  }
  return true;
}

}  // namespace thriftattn::testing
