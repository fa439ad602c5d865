// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Everything that writes a llama.cpp KV cache must reach the FP4 tiles behind it.
#include <gtest/gtest.h>

#include <cmath>

#include "session.h"

namespace thriftattn::testing {
namespace {

constexpr int kContext = 2048;

// Prefill, decode, context shift, reused cells, clear, state save and restore, sequence copy, keep
// and removal, rollback. The asserts are llama.cpp's: what the cache holds is compared by the
// caller.
void use_every_writer(Session& session, const CacheKind& kind) {
  llama_memory_t memory = session.memory();
  llama_context* context = session.context();
  ASSERT_TRUE(session.decode(session.text(0, 300), {0}, {0}));
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(session.decode(session.text(300 + i, 1), {300 + i}, {0}));
  }
  ASSERT_TRUE(llama_memory_seq_rm(memory, 0, 60, 160));  // shift: the rest moves down by 100
  llama_memory_seq_add(memory, 0, 160, -1, -100);
  ASSERT_TRUE(session.decode(session.text(306, 90), {206}, {0}));  // into freed cells too

  std::vector<std::uint8_t> state(llama_state_get_size(context));
  const std::size_t saved = llama_state_get_data(context, state.data(), state.size());
  llama_memory_clear(memory, true);
  ASSERT_TRUE(session.decode(session.text(500, 130), {0}, {0}));
  ASSERT_TRUE(session.decode(session.text(630, 1), {130}, {0}));  // seals what the restore replaces
  ASSERT_EQ(llama_state_set_data(context, state.data(), saved), saved);
  ASSERT_TRUE(session.decode(session.text(396, 2), {296}, {0}));

  const llama_state_seq_flags flags = kind.on_device ? LLAMA_STATE_SEQ_FLAGS_ON_DEVICE : 0;
  state.resize(llama_state_seq_get_size_ext(context, 0, flags));
  const std::size_t kept =
      llama_state_seq_get_data_ext(context, state.data(), state.size(), 0, flags);
  const llama_seq_id target = kind.on_device ? 0 : 1;
  if (kind.on_device) {
    llama_memory_seq_rm(memory, 0, 100, -1);
    ASSERT_TRUE(session.decode(session.text(600, 70), {100}, {0}));
    llama_memory_seq_rm(memory, 0, -1, -1);
  }
  ASSERT_GT(llama_state_seq_set_data_ext(context, state.data(), kept, target, flags), 0u);
  ASSERT_TRUE(session.decode(session.text(398, 3), {298}, {target}));

  llama_memory_seq_rm(memory, 1, -1, -1);
  ASSERT_TRUE(session.decode(session.text(640, 130), {0}, {1}));
  ASSERT_TRUE(session.decode(session.text(770, 1), {130}, {1}));  // seals what the copy replaces
  llama_memory_seq_rm(memory, 1, -1, -1);
  llama_memory_seq_cp(memory, 0, 1, -1, -1);
  const llama_pos next = llama_memory_seq_pos_max(memory, 0) + 1;
  ASSERT_TRUE(session.decode(session.text(500, 20), {next, next}, {0, 1}));
  ASSERT_TRUE(session.decode(session.text(640, 150), {0}, {3}));
  ASSERT_TRUE(session.decode(session.text(790, 1), {150, next + 20, next + 20}, {3, 0, 1}));
  llama_memory_seq_keep(memory, 3);
  ASSERT_TRUE(session.decode(session.text(791, 100), {151}, {3}));
  llama_memory_seq_rm(memory, 3, 180, -1);
  ASSERT_TRUE(session.decode(session.text(300, 70), {180}, {3}));
}

thriftattn_ggml_options fp4_with_proof() {
  thriftattn_ggml_options options = module_options();
  options.exact = false;
  options.verify = true;
  options.crossover_tokens = 0;
  options.short_cache_tokens = 0;
  return options;
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    norm += static_cast<double>(a[i]) * a[i];
  }
  return std::sqrt(difference / norm);
}

class Coherence : public ::testing::TestWithParam<CacheKind> {
 protected:
  void SetUp() override {
    if (model_path().empty()) GTEST_SKIP() << "SKIPPED: run scripts/get_model.sh smollm2";
  }
};

TEST_P(Coherence, NoTileIsEverStale) {
  set_module_options(fp4_with_proof());
  reset_module_stats();
  Session session(Where::kModule, GetParam(), kContext);
  use_every_writer(session, GetParam());
  const thriftattn_ggml_stats stats = module_stats();
  EXPECT_GT(stats.sealed_blocks, 0);
  EXPECT_GT(stats.verified_blocks, 1000);
  EXPECT_EQ(stats.stale_blocks, 0);
}

// ggml's CPU backend sums decode in half precision and rounds q to the cache's type: with F32
// weights its logits stay within these distances of ours.
TEST_P(Coherence, ExactModeFollowsTheCpuBackend) {
  thriftattn_ggml_options options = fp4_with_proof();
  options.exact = true;
  options.verify = false;
  set_module_options(options);
  Session ours(Where::kModule, GetParam(), kContext);
  use_every_writer(ours, GetParam());
  Session cpu(Where::kCpu, GetParam(), kContext);
  use_every_writer(cpu, GetParam());
  ASSERT_EQ(ours.outputs().size(), cpu.outputs().size());
  const double tolerance = GetParam().type == GGML_TYPE_F16    ? 0.02
                           : GetParam().type == GGML_TYPE_Q8_0 ? 0.04
                                                               : 0.3;
  for (std::size_t i = 0; i < ours.outputs().size(); ++i) {
    EXPECT_LT(relative_distance(cpu.outputs()[i], ours.outputs()[i]), tolerance) << "output " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Coherence,
                         ::testing::Values(CacheKind{"f16_unified", GGML_TYPE_F16, true, false},
                                           CacheKind{"f16_streams", GGML_TYPE_F16, false, false},
                                           CacheKind{"f16_on_device", GGML_TYPE_F16, true, true},
                                           CacheKind{"q8_0_streams", GGML_TYPE_Q8_0, false, false},
                                           CacheKind{"q4_0_unified", GGML_TYPE_Q4_0, true, false}),
                         [](const auto& kind) { return kind.param.name; });

// The proof above must be able to fail: run with THRIFTATTN_TEST_DROP_HOOK, one writer goes unseen.
TEST(DroppedHook, LeavesStaleTiles) {
  if (model_path().empty()) GTEST_SKIP() << "SKIPPED: run scripts/get_model.sh smollm2";
  set_module_options(fp4_with_proof());
  reset_module_stats();
  const CacheKind kind{"f16_streams", GGML_TYPE_F16, false, false};
  Session session(Where::kModule, kind, kContext);
  use_every_writer(session, kind);
  EXPECT_GT(module_stats().stale_blocks, 0);
}

}  // namespace
}  // namespace thriftattn::testing
