// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_run.h"

#include <algorithm>
#include <stdexcept>

#include "cuda/cache/snapshot.h"
#include "cuda/device_bounds.h"

namespace thriftattn::testing {
namespace {

void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}
void require(cudaError_t error) { require(cuda::to_status(error, "test")); }

}  // namespace

DeviceCache fill_device(const Problem& problem, const DeviceFill& fill) {
  const ProblemShape& shape = problem.shape;
  std::int64_t pages = 3;
  std::int64_t longest = 1;
  for (const Tensor& k : problem.k) {
    const std::int64_t tokens = k.tokens + fill.spare_tokens;
    pages += (tokens + kBlockTokens - 1) / kBlockTokens;
    longest = std::max(longest, tokens);
  }
  CudaKvCacheConfig config;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.pages = pages;
  config.max_sequences = static_cast<int>(problem.k.size()) + 1;
  config.max_tokens = longest;
  config.numerics = shape.numerics;
  config.channel_bounds = shape.channel_bounds;
  config.high_tier = shape.high_tier;
  config.residence = fill.residence;
  Result<CudaKvCache> created = CudaKvCache::create(config);
  require(created.status());
  DeviceCache filled{std::move(created.value()), {}};
  std::vector<DeviceRows> k, v;
  std::vector<std::int64_t> left, done(problem.k.size(), 0);
  for (std::size_t s = 0; s < problem.k.size(); ++s) {
    k.push_back(upload(problem.k[s]));
    v.push_back(upload(problem.v[s]));
    left.push_back(problem.k[s].tokens);
    const Result<SequenceId> id = filled.cache.add_sequence();
    require(id.status());
    filled.sequences.push_back(id.value());
  }
  Random random(fill.seed);
  for (bool more = true; more;) {
    more = false;
    for (std::size_t s = 0; s < problem.k.size(); ++s) {
      if (left[s] <= 0) continue;
      const std::int64_t piece = fill.shuffled ? std::min(left[s], 1 + random.below(150)) : left[s];
      require(filled.cache.append(filled.sequences[s], slice(k[s].view, done[s], done[s] + piece),
                                  slice(v[s].view, done[s], done[s] + piece), {}));
      done[s] += piece;
      left[s] -= piece;
      more = true;
    }
  }
  require(filled.cache.synchronize({}));
  return filled;
}

CudaAttendPlan make_plan(const Problem& problem, const DeviceCache& filled, int max_q_len) {
  Result<CudaAttendPlan> plan = CudaAttendPlan::create(
      filled.cache, problem.shape.q_heads(), static_cast<int>(problem.k.size()), max_q_len);
  require(plan.status());
  return std::move(plan.value());
}

DeviceCall::DeviceCall(const Problem& problem, const std::vector<SequenceId>& sequences,
                       const RunOptions& options)
    : q_(upload(problem.q)) {
  const Tensor& q = problem.q;
  output_.out = Tensor::make(options.out, q.tokens, q.heads, q.dim);
  std::fill(output_.out.bytes.begin(), output_.out.bytes.end(), std::byte{0xa5});
  output_.lse.assign(static_cast<std::size_t>(q.tokens * q.heads), -12345.0f);
  out_ = upload(output_.out);
  require(lse_.allocate(std::max<std::int64_t>(q.tokens * q.heads, 1), "test lse"));
  params.tail_always = true;
  params.q = q_.view;
  params.out = TensorView::packed(out_.memory.data(), options.out, q.tokens, q.heads, q.dim);
  params.lse = lse_.data();
  params.sequences = sequences;
  params.q_offsets = problem.q_offsets;
  params.selection = options.attend.selection;
  params.softmax_scale = options.attend.softmax_scale;
  params.crossover_tokens = options.attend.crossover_tokens;
}

Output DeviceCall::finish(const Status& status, const CudaAttendPlan& plan) {
  Output output = output_;
  output.status = status;
  if (!status.ok()) return output;
  output.status = report(plan, {}, &output.report, &output.trace);
  require(cudaMemcpy(output.out.bytes.data(), out_.memory.data(), output.out.bytes.size(),
                     cudaMemcpyDeviceToHost));
  require(cudaMemcpy(output.lse.data(), lse_.data(), output.lse.size() * sizeof(float),
                     cudaMemcpyDeviceToHost));
  return output;
}

Output run_device(const Problem& problem, const DeviceCache& filled, CudaAttendPlan& plan,
                  const RunOptions& options, CudaAttendState* state, bool tail_always) {
  DeviceCall call(problem, filled.sequences, options);
  call.params.state = state;
  call.params.tail_always = tail_always;
  return call.finish(attend(call.params, filled.cache, plan, {}), plan);
}

void expect_device_oracle(const Problem& problem, const DeviceCache& filled,
                          const RunOptions& options, const Output& output) {
  std::vector<std::int64_t> q_lens;
  for (int s = 0; s < static_cast<int>(problem.k.size()); ++s) q_lens.push_back(problem.q_len(s));
  const Result<std::unique_ptr<KvSource>> source =
      cuda::snapshot(filled.cache, filled.sequences, q_lens, {});
  ASSERT_TRUE(source.ok()) << source.status().message();
  expect_oracle(problem, *source.value(), options, output,
                {.bound = device_row_bound, .separate_means = true});
}

}  // namespace thriftattn::testing
