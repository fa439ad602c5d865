// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Exact mode is llama.cpp's own attention, as far as a model can tell.
#include <gtest/gtest.h>

#include <cmath>

#include "session.h"

namespace thriftattn::testing {
namespace {

constexpr int kTokens = 768;
constexpr int kFirst = 256;  // positions before it only give context
constexpr CacheKind kHalf{"f16", GGML_TYPE_F16, true, false};

double negative_log_likelihood(const float* logits, int vocabulary, llama_token token) {
  double largest = logits[0];
  for (int i = 1; i < vocabulary; ++i) largest = std::fmax(largest, logits[i]);
  double sum = 0;
  for (int i = 0; i < vocabulary; ++i) sum += std::exp(logits[i] - largest);
  return std::log(sum) + largest - logits[token];
}

double perplexity(Where where) {
  Session session(where, kHalf, 1024);
  const std::vector<llama_token> tokens = session.text(0, kTokens);
  llama_batch batch = llama_batch_init(kTokens, 0, 1);
  for (int i = 0; i < kTokens; ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = kTokens;
  EXPECT_EQ(llama_decode(session.context(), batch), 0);
  double total = 0;
  for (int i = kFirst; i + 1 < kTokens; ++i) {
    total += negative_log_likelihood(llama_get_logits_ith(session.context(), i),
                                     session.vocabulary(), tokens[i + 1]);
  }
  llama_batch_free(batch);
  return std::exp(total / (kTokens - 1 - kFirst));
}

TEST(Perplexity, ExactModeEqualsTheCpuBackend) {
  if (model_path().empty()) GTEST_SKIP() << "SKIPPED: run scripts/get_model.sh smollm2";
  thriftattn_ggml_options options = module_options();
  options.exact = true;
  set_module_options(options);
  reset_module_stats();
  const double ours = perplexity(Where::kModule);
  EXPECT_GT(module_stats().attention_calls, 0) << "attention did not run in the module";
  const double cpu = perplexity(Where::kCpu);
  EXPECT_NEAR(ours / cpu, 1.0, 0.001) << ours << " against " << cpu;
}

}  // namespace
}  // namespace thriftattn::testing
