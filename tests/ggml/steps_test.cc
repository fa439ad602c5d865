// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A model that decodes chunks of 64 tokens, as thriftattn eval does, says what it says in single
// steps. For the operation itself this is exact (tests/engine/chunks_test.cc). Around it ggml's
// products differ in their last bits with the size of the batch, so a model is held to the noise:
// what its attention does to the logits when only the order of its sums changes.
#include <gtest/gtest.h>

#include <cmath>

#include "session.h"
#include "thriftattn/selection.h"

namespace thriftattn::testing {
namespace {

constexpr int kTokens = 1024;
constexpr int kFirst = 640;  // positions before it only give context, in chunks
constexpr int kChunk = 64;
constexpr CacheKind kHalf{"f16", GGML_TYPE_F16, true, false};

// What a run said at positions kFirst and following.
struct Logits {
  int vocabulary = 0;
  std::vector<float> values;  // [kTokens - kFirst, vocabulary]

  [[nodiscard]] const float* row(int i) const {
    return values.data() + static_cast<std::size_t>(i) * vocabulary;
  }
};

// The text from kFirst on in calls of `chunk` tokens each.
Logits run(const thriftattn_ggml_options& options, int chunk) {
  set_module_options(options);
  Session session(Where::kModule, kHalf, kTokens);
  const std::vector<llama_token> tokens = session.text(0, kTokens);
  Logits logits{session.vocabulary(), {}};
  llama_batch batch = llama_batch_init(kChunk, 0, 1);
  for (int begin = 0; begin < kTokens; begin += batch.n_tokens) {
    batch.n_tokens = begin < kFirst ? kChunk : chunk;
    for (int i = 0; i < batch.n_tokens; ++i) {
      batch.token[i] = tokens[begin + i];
      batch.pos[i] = begin + i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = begin >= kFirst;
    }
    EXPECT_EQ(llama_decode(session.context(), batch), 0);
    if (begin < kFirst) continue;
    const float* rows = llama_get_logits(session.context());
    logits.values.insert(logits.values.end(), rows,
                         rows + static_cast<std::size_t>(chunk) * logits.vocabulary);
  }
  llama_batch_free(batch);
  return logits;
}

double log_sum_exp(const float* row, int n) {
  double largest = row[0];
  for (int i = 1; i < n; ++i) largest = std::fmax(largest, row[i]);
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::exp(row[i] - largest);
  return largest + std::log(sum);
}

// The mean over positions of sum p (log p - log q).
double mean_kl(const Logits& p, const Logits& q) {
  double total = 0;
  for (int i = 0; i < kTokens - kFirst; ++i) {
    const double p_norm = log_sum_exp(p.row(i), p.vocabulary);
    const double q_norm = log_sum_exp(q.row(i), q.vocabulary);
    for (int v = 0; v < p.vocabulary; ++v) {
      const double log_p = p.row(i)[v] - p_norm;
      total += std::exp(log_p) * (log_p - (q.row(i)[v] - q_norm));
    }
  }
  return total / (kTokens - kFirst);
}

// The largest distance that another grouping of the sums makes; eval's arm `floor` is the first.
double noise(thriftattn_ggml_options options, const Logits& chunks) {
  double largest = 0;
  for (int i = 0; i < 2; ++i) {
    options.split_blocks /= 2;
    largest = std::fmax(largest, mean_kl(chunks, run(options, kChunk)));
  }
  return largest;
}

// They change every product of the model, where the noise changes attention alone. Measured with
// AVX-512: steps 4.4e-7 and noise 4.6e-7 in 16 bit, 3.9e-5 and 8.5e-5 in FP4.
constexpr double kNoises = 4;

struct Distances {
  double noise, steps;
};

// Leaves the logits of the chunks in `chunks`, for more comparisons.
Distances measure(const thriftattn_ggml_options& options, Logits& chunks) {
  reset_module_stats();
  chunks = run(options, kChunk);
  const thriftattn_ggml_stats of_chunks = module_stats();
  reset_module_stats();
  const double steps = mean_kl(chunks, run(options, 1));
  const thriftattn_ggml_stats of_steps = module_stats();
  // The same blocks are seen, forced and promoted; the tail alone depends on the masses.
  EXPECT_EQ(of_chunks.rows, of_steps.rows);
  EXPECT_EQ(of_chunks.units, of_steps.units);
  EXPECT_EQ(of_chunks.blocks, of_steps.blocks);
  EXPECT_EQ(of_chunks.forced, of_steps.forced);
  EXPECT_EQ(of_chunks.promoted_k, of_steps.promoted_k);
  EXPECT_EQ(of_chunks.promoted_v, of_steps.promoted_v);
  return {noise(options, chunks), steps};
}

TEST(Steps, ChunksOf64SayTheSameWithinTheNoise) {
  if (model_path().empty()) GTEST_SKIP() << "SKIPPED: run scripts/get_model.sh smollm2";
  const thriftattn_ggml_options defaults = module_options();
  thriftattn_ggml_options exact = defaults;
  exact.exact = true;
  Logits reference;
  const Distances in_16_bit = measure(exact, reference);
  EXPECT_LE(in_16_bit.steps, kNoises * in_16_bit.noise);

  thriftattn_ggml_options thrift = defaults;
  thrift.unit = static_cast<int>(SelectionUnit::kToken);
  thrift.crossover_tokens = 0;
  thrift.short_cache_tokens = 0;
  Logits chunks;
  const Distances in_fp4 = measure(thrift, chunks);
  EXPECT_LE(in_fp4.steps, kNoises * in_fp4.noise);
  // Noise moves values over the edges of codes, so FP4 has more of it; still far below its errors.
  EXPECT_LT(kNoises * in_fp4.noise, mean_kl(reference, chunks) / 2);
  set_module_options(defaults);
}

}  // namespace
}  // namespace thriftattn::testing
