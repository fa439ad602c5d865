// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A llama.cpp context on SmolLM2, on the CPU backend or on the module's device.
#pragma once

#include <string>
#include <vector>

#include "ggml-backend.h"
#include "llama.h"
#include "thriftattn_ggml.h"

namespace thriftattn::testing {

// The model with weights expanded to F32 (8-bit activations would amplify the last bits of
// attention), or empty where SmolLM2 has not been fetched.
const std::string& model_path();

// The loaded module; the process ends with a message where it cannot be loaded.
ggml_backend_reg_t module_registry();
template <class Function>
Function module_function(const char* name) {
  return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(module_registry(), name));
}
thriftattn_ggml_options module_options();
void set_module_options(const thriftattn_ggml_options& options);
thriftattn_ggml_stats module_stats();
void reset_module_stats();

enum class Where { kCpu, kModule };

struct CacheKind {
  const char* name;
  ggml_type type;
  bool unified;    // one stream for all sequences
  bool on_device;  // states of a sequence are kept in device memory
};

class Session {
 public:
  Session(Where where, const CacheKind& kind, int context_tokens);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] llama_context* context() const { return context_; }
  [[nodiscard]] llama_memory_t memory() const { return llama_get_memory(context_); }
  // Tokens [first, first + count) of the test's text.
  [[nodiscard]] std::vector<llama_token> text(int first, int count) const;
  // Decodes the same tokens in each sequence, from the position given for each; keeps the logits
  // that follow the last token of each sequence. False where llama.cpp refuses.
  bool decode(const std::vector<llama_token>& tokens, const std::vector<llama_pos>& first,
              const std::vector<llama_seq_id>& sequences);
  // One row for each kept output, [vocabulary].
  [[nodiscard]] const std::vector<std::vector<float>>& outputs() const { return outputs_; }
  [[nodiscard]] int vocabulary() const { return llama_vocab_n_tokens(vocab_); }

 private:
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  const llama_vocab* vocab_ = nullptr;
  std::vector<llama_token> text_;
  std::vector<std::vector<float>> outputs_;
};

}  // namespace thriftattn::testing
