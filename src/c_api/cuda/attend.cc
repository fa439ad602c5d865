// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/convert.h"
#include "c_api/cuda/handles.h"
#include "c_api/handles.h"

namespace {

using thriftattn::AttendReport;
using thriftattn::ConstTensorView;
using thriftattn::CudaAttendParams;
using thriftattn::CudaAttendPlan;
using thriftattn::CudaAttendState;
using thriftattn::CudaStream;
using thriftattn::invalid_argument;
using thriftattn::Status;
using namespace thriftattn::c_api;

// Size of the struct's first version; a later field leaves it as it is.
constexpr std::size_t kFirstParamsSize = sizeof(thriftattn_cuda_attend_params);

thriftattn_cuda_attend_params default_params() {
  const CudaAttendParams from;
  thriftattn_cuda_attend_params params = {};
  params.softmax_scale = from.softmax_scale;
  params.refresh = from.refresh;
  params.tail_always = from.tail_always;
  params.crossover_tokens = from.crossover_tokens;
  return params;
}

Status read_params(const thriftattn_cuda_attend_params* from, CudaAttendParams* out) {
  thriftattn_cuda_attend_params in = default_params();
  Status status = read_struct(from, "params", kFirstParamsSize, &in);
  if (status.ok()) status = check_sequences(in.sequences, in.sequence_count, in.q_offsets);
  if (status.ok()) status = read_tensor(in.q, "q.dtype", &out->q);
  if (status.ok()) status = read_tensor(in.out, "out.dtype", &out->out);
  if (status.ok() && in.selection != nullptr) {
    status = read_selection(in.selection, &out->selection);
  }
  if (!status.ok()) return status;
  const auto count = static_cast<std::size_t>(in.sequence_count);
  out->sequences = {in.sequences, count};
  out->q_offsets = {in.q_offsets, count + 1};
  out->lse = in.lse;
  out->softmax_scale = in.softmax_scale;
  out->crossover_tokens = in.crossover_tokens;
  out->state = in.state == nullptr ? nullptr : &in.state->state;
  out->refresh = in.refresh != 0;
  out->tail_always = in.tail_always != 0;
  return {};
}

}  // namespace

thriftattn_status thriftattn_cuda_attend_state_create(const thriftattn_cuda_cache* cache,
                                                      int32_t q_heads,
                                                      thriftattn_cuda_attend_state** state) {
  return guarded([&]() -> Status {
    if (state == nullptr) return invalid_argument("state is NULL");
    *state = nullptr;
    if (cache == nullptr) return invalid_argument("cache is NULL");
    auto created = CudaAttendState::create(cache->cache, q_heads);
    if (!created.ok()) return created.status();
    *state = new thriftattn_cuda_attend_state{std::move(created.value())};
    return {};
  });
}

void thriftattn_cuda_attend_state_free(thriftattn_cuda_attend_state* state) { delete state; }

thriftattn_status thriftattn_cuda_attend_state_reset(thriftattn_cuda_attend_state* state,
                                                     int32_t sequence, void* stream) {
  return guarded([&]() -> Status {
    if (state == nullptr) return invalid_argument("state is NULL");
    return state->state.reset(sequence, CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_attend_plan_create(const thriftattn_cuda_cache* cache,
                                                     int32_t q_heads, int32_t max_sequences,
                                                     int32_t max_q_len,
                                                     thriftattn_cuda_attend_plan** plan) {
  return guarded([&]() -> Status {
    if (plan == nullptr) return invalid_argument("plan is NULL");
    *plan = nullptr;
    if (cache == nullptr) return invalid_argument("cache is NULL");
    auto created = CudaAttendPlan::create(cache->cache, q_heads, max_sequences, max_q_len);
    if (!created.ok()) return created.status();
    *plan = new thriftattn_cuda_attend_plan{std::move(created.value())};
    return {};
  });
}

void thriftattn_cuda_attend_plan_free(thriftattn_cuda_attend_plan* plan) { delete plan; }

thriftattn_status thriftattn_cuda_attend_plan_device_bytes(const thriftattn_cuda_attend_plan* plan,
                                                           int64_t* bytes) {
  return guarded([&]() -> Status {
    if (plan == nullptr || bytes == nullptr) return invalid_argument("plan or bytes is NULL");
    *bytes = plan->plan.device_bytes();
    return {};
  });
}

void thriftattn_cuda_attend_params_default(thriftattn_cuda_attend_params* params,
                                           size_t struct_size) {
  write_struct(default_params(), params, struct_size);
}

// Params are read before handles are asked for, so that they can be checked without a device.
thriftattn_status thriftattn_cuda_attend(const thriftattn_cuda_cache* cache,
                                         thriftattn_cuda_attend_plan* plan,
                                         const thriftattn_cuda_attend_params* params,
                                         void* stream) {
  return guarded([&]() -> Status {
    CudaAttendParams cpp_params;
    Status status = read_params(params, &cpp_params);
    if (!status.ok()) return status;
    if (cache == nullptr || plan == nullptr) return invalid_argument("cache or plan is NULL");
    return thriftattn::attend(cpp_params, cache->cache, plan->plan, CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_append_and_attend(thriftattn_cuda_cache* cache,
                                                    thriftattn_cuda_attend_plan* plan,
                                                    const thriftattn_cuda_attend_params* params,
                                                    const thriftattn_const_tensor* k,
                                                    const thriftattn_const_tensor* v,
                                                    void* stream) {
  return guarded([&]() -> Status {
    CudaAttendParams cpp_params;
    Status status = read_params(params, &cpp_params);
    if (!status.ok()) return status;
    if (k == nullptr || v == nullptr) return invalid_argument("k or v is NULL");
    ConstTensorView keys, values;
    status = read_tensor(*k, "k.dtype", &keys);
    if (status.ok()) status = read_tensor(*v, "v.dtype", &values);
    if (!status.ok()) return status;
    if (cache == nullptr || plan == nullptr) return invalid_argument("cache or plan is NULL");
    return thriftattn::append_and_attend(cpp_params, keys, values, cache->cache, plan->plan,
                                         CudaStream{stream});
  });
}

thriftattn_status thriftattn_cuda_report(const thriftattn_cuda_attend_plan* plan, void* stream,
                                         thriftattn_report* report) {
  return guarded([&]() -> Status {
    thriftattn_report sums = {};
    Status status = read_report(report, &sums);
    if (!status.ok()) return status;
    if (plan == nullptr) return invalid_argument("plan is NULL");
    AttendReport added;
    status = thriftattn::report(plan->plan, CudaStream{stream}, &added, nullptr);
    if (!status.ok()) return status;
    add_report(added, &sums);
    write_struct(sums, report, report->struct_size);
    return {};
  });
}
