// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The C API of the CUDA backend against the C++ calls, bit for bit.
#include <gmock/gmock.h>

#include <algorithm>

#include "cuda/device_run.h"
#include "thriftattn/c_api_cuda.h"

namespace thriftattn::testing {
namespace {

class CudaCApi : public OnHighTier {};

#define ASSERT_C_OK(call) ASSERT_EQ(call, THRIFTATTN_OK) << thriftattn_status_message()

template <class T, class View>
T c_view(const View& v) {
  return {
      v.data,       static_cast<std::int32_t>(v.dtype), v.tokens, v.heads, v.dim, v.token_stride,
      v.head_stride};
}

// The handles of one problem, its tokens appended.
struct Handles {
  ~Handles() {
    thriftattn_cuda_attend_plan_free(plan);
    thriftattn_cuda_cache_free(cache);
  }
  void fill(const Problem& problem);

  thriftattn_cuda_cache* cache = nullptr;
  thriftattn_cuda_attend_plan* plan = nullptr;
  std::vector<std::int32_t> sequences;
};

void Handles::fill(const Problem& problem) {
  thriftattn_cuda_cache_config config;
  thriftattn_cuda_cache_config_default(&config, sizeof config);
  config.kv_heads = problem.shape.kv_heads;
  config.head_dim = problem.shape.head_dim;
  config.pages = 64;
  config.max_sequences = 4;
  config.max_tokens = 2048;
  config.high_tier = static_cast<std::int32_t>(problem.shape.high_tier);
  ASSERT_C_OK(thriftattn_cuda_cache_create(&config, &cache));
  for (std::size_t s = 0; s < problem.k.size(); ++s) {
    sequences.push_back(-1);
    ASSERT_C_OK(thriftattn_cuda_cache_add_sequence(cache, &sequences[s]));
    const DeviceRows k = upload(problem.k[s]);
    const DeviceRows v = upload(problem.v[s]);
    const auto k_view = c_view<thriftattn_const_tensor>(k.view);
    const auto v_view = c_view<thriftattn_const_tensor>(v.view);
    const std::int64_t offsets[] = {0, problem.k[s].tokens};
    ASSERT_C_OK(
        thriftattn_cuda_cache_append(cache, &sequences[s], 1, offsets, &k_view, &v_view, nullptr));
    ASSERT_C_OK(thriftattn_cuda_cache_synchronize(cache, nullptr));
    std::int64_t tokens = 0;
    ASSERT_C_OK(thriftattn_cuda_cache_length(cache, sequences[s], &tokens));
    EXPECT_EQ(tokens, problem.k[s].tokens);
  }
  ASSERT_C_OK(thriftattn_cuda_attend_plan_create(cache, problem.shape.q_heads(),
                                                 static_cast<int>(problem.k.size()), 16, &plan));
}

TEST_P(CudaCApi, SameBitsAndReportAsCpp) {
  const Problem problem = make_problem({.head_dim = 128,
                                        .kv_heads = 2,
                                        .group = 4,
                                        .sequences = {{1030, 1}, {330, 3}},
                                        .q_dtype = DType::kF16,
                                        .high_tier = GetParam()});
  const DeviceCache filled = fill_device(problem);
  CudaAttendPlan plan = make_plan(problem, filled);
  const Output want = run_device(problem, filled, plan, {});
  ASSERT_TRUE(want.status.ok()) << want.status.message();

  Handles handles;
  ASSERT_NO_FATAL_FAILURE(handles.fill(problem));
  const DeviceRows q = upload(problem.q);
  const DeviceRows out = upload(want.out);
  ASSERT_EQ(cudaMemset(out.memory.data(), 0xa5, want.out.bytes.size()), cudaSuccess);
  cuda::DeviceBuffer<float> lse;
  ASSERT_TRUE(lse.allocate(problem.q.tokens * problem.q.heads, "test lse").ok());
  thriftattn_cuda_attend_params params;
  thriftattn_cuda_attend_params_default(&params, sizeof params);
  params.q = c_view<thriftattn_const_tensor>(q.view);
  params.out = {
      out.memory.data(), THRIFTATTN_F32, want.out.tokens, want.out.heads, want.out.dim, 0, 0};
  params.lse = lse.data();
  params.sequences = handles.sequences.data();
  params.q_offsets = problem.q_offsets.data();
  params.sequence_count = static_cast<std::int64_t>(handles.sequences.size());
  ASSERT_C_OK(thriftattn_cuda_attend(handles.cache, handles.plan, &params, nullptr));
  thriftattn_report report;
  thriftattn_report_default(&report, sizeof report);
  ASSERT_C_OK(thriftattn_cuda_report(handles.plan, nullptr, &report));

  Output got = want;
  std::fill(got.lse.begin(), got.lse.end(), 0.0f);
  ASSERT_EQ(cudaMemcpy(got.out.bytes.data(), out.memory.data(), got.out.bytes.size(),
                       cudaMemcpyDeviceToHost),
            cudaSuccess);
  ASSERT_EQ(cudaMemcpy(got.lse.data(), lse.data(), got.lse.size() * sizeof(float),
                       cudaMemcpyDeviceToHost),
            cudaSuccess);
  EXPECT_TRUE(got.same_bits(want));
  EXPECT_EQ(report.blocks, want.report.blocks);
  EXPECT_EQ(report.promoted_k, want.report.promoted_k);
  EXPECT_EQ(report.bytes_low, want.report.bytes_low);
  EXPECT_EQ(report.bytes_high, want.report.bytes_high);
  EXPECT_EQ(report.mass_covered, want.report.mass_covered);
  EXPECT_GT(report.promoted_k, 0);
}

TEST_P(CudaCApi, AppendAndAttendIsAppendThenAttend) {
  const Problem problem = make_problem({.head_dim = 64,
                                        .kv_heads = 2,
                                        .group = 4,
                                        .sequences = {{1030, 1}, {330, 1}},
                                        .q_dtype = DType::kF16,
                                        .high_tier = GetParam()});
  const DeviceRows q = upload(problem.q);
  const DeviceRows rows = upload(converted(random_rows(2, 2, 64, 5), DType::kBF16));
  const auto key = c_view<thriftattn_const_tensor>(rows.view);
  const Tensor start = Tensor::make(DType::kF32, 2, 8, 64);
  std::vector<float> results[2];
  for (const bool at_once : {false, true}) {
    Handles handles;
    ASSERT_NO_FATAL_FAILURE(handles.fill(problem));
    thriftattn_cuda_attend_state* state = nullptr;
    ASSERT_C_OK(thriftattn_cuda_attend_state_create(handles.cache, 8, &state));
    const DeviceRows out = upload(start);
    thriftattn_cuda_attend_params params;
    thriftattn_cuda_attend_params_default(&params, sizeof params);
    params.q = c_view<thriftattn_const_tensor>(q.view);
    params.out = {out.memory.data(), THRIFTATTN_F32, 2, 8, 64, 0, 0};
    params.sequences = handles.sequences.data();
    params.q_offsets = problem.q_offsets.data();
    params.sequence_count = 2;
    params.state = state;
    for (int step = 0; step < 3; ++step) {
      if (at_once) {
        ASSERT_C_OK(thriftattn_cuda_append_and_attend(handles.cache, handles.plan, &params, &key,
                                                      &key, nullptr));
      } else {
        ASSERT_C_OK(thriftattn_cuda_cache_append(handles.cache, params.sequences, 2,
                                                 params.q_offsets, &key, &key, nullptr));
        ASSERT_C_OK(thriftattn_cuda_attend(handles.cache, handles.plan, &params, nullptr));
      }
    }
    ASSERT_C_OK(thriftattn_cuda_cache_synchronize(handles.cache, nullptr));
    results[at_once ? 1 : 0] = read_back<float>(out.memory);
    results[at_once ? 1 : 0].resize(2 * 8 * 64);  // without what lies behind the rows
    std::int64_t tokens = 0;
    ASSERT_C_OK(thriftattn_cuda_cache_length(handles.cache, handles.sequences[1], &tokens));
    EXPECT_EQ(tokens, 333);
    EXPECT_EQ(thriftattn_cuda_append_and_attend(handles.cache, handles.plan, &params, nullptr, &key,
                                                nullptr),
              THRIFTATTN_INVALID_ARGUMENT);
    thriftattn_cuda_attend_state_free(state);
  }
  // A token that comes behind is added with a weight that is not rounded.
  EXPECT_THAT(results[1], ::testing::Pointwise(::testing::FloatNear(1e-4f), results[0]));
}

INSTANTIATE_TEST_SUITE_P(HighTiers, CudaCApi, ::testing::ValuesIn(kBothTiers), name_of_param);

}  // namespace
}  // namespace thriftattn::testing
