// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/convert.h"
#include "c_api/guard.h"
#include "c_api/handles.h"
#include "thriftattn/attention.h"

namespace {

using thriftattn::AttendOptions;
using thriftattn::AttendParams;
using thriftattn::AttendReport;
using thriftattn::ComputeMode;
using thriftattn::invalid_argument;
using thriftattn::Selection;
using thriftattn::Status;
using namespace thriftattn::c_api;

constexpr std::int32_t kModes = 2;
// Size of the struct of ABI version 1; a later field leaves it as it is.
constexpr std::size_t kFirstParamsSize = sizeof(thriftattn_attend_params);

thriftattn_attend_params default_params() {
  const AttendOptions options;
  thriftattn_attend_params params = {};
  params.softmax_scale = options.softmax_scale;
  params.mode = static_cast<std::int32_t>(options.mode);
  params.crossover_tokens = options.crossover_tokens;
  params.split_blocks = options.split_blocks;
  return params;
}

// Everything of a C call's params but the report.
Status read_params(const thriftattn_attend_params& in, AttendParams* out) {
  Status status = check_sequences(in.sequences, in.sequence_count, in.q_offsets);
  if (status.ok()) status = read_tensor(in.q, "q.dtype", &out->q);
  if (status.ok()) status = read_tensor(in.out, "out.dtype", &out->out);
  if (status.ok()) status = check_enum("mode", in.mode, kModes);
  if (status.ok() && in.selection != nullptr) {
    status = read_selection(in.selection, &out->options.selection);
  }
  if (!status.ok()) return status;
  const auto count = static_cast<std::size_t>(in.sequence_count);
  out->sequences = {in.sequences, count};
  out->q_offsets = {in.q_offsets, count + 1};
  out->lse = in.lse;
  out->options.softmax_scale = in.softmax_scale;
  out->options.mode = static_cast<ComputeMode>(in.mode);
  out->options.crossover_tokens = in.crossover_tokens;
  out->options.split_blocks = in.split_blocks;
  out->executor = in.threads == nullptr ? nullptr : in.threads->executor.get();
  return {};
}

Status attend_from_c(const thriftattn_cache* cache, const thriftattn_attend_params* in) {
  if (cache == nullptr) return invalid_argument("cache is NULL");
  thriftattn_attend_params params = default_params();
  Status status = read_struct(in, "params", kFirstParamsSize, &params);
  thriftattn_report sums = {};
  if (status.ok() && params.report != nullptr) {
    status = read_report(params.report, &sums);
  }
  AttendParams cpp_params;
  if (status.ok()) status = read_params(params, &cpp_params);
  if (!status.ok()) return status;
  cpp_params.options.numerics = cache->cache.config().numerics;
  AttendReport report;
  if (params.report != nullptr) cpp_params.report = &report;
  status = thriftattn::attend(cpp_params, cache->cache);
  if (status.ok() && params.report != nullptr) {
    add_report(report, &sums);
    write_struct(sums, params.report, params.report->struct_size);
  }
  return status;
}

}  // namespace

void thriftattn_selection_default(thriftattn_selection* selection, size_t struct_size) {
  write_struct(to_c({}), selection, struct_size);
}

void thriftattn_selection_exact(thriftattn_selection* selection, size_t struct_size) {
  write_struct(to_c(Selection::exact()), selection, struct_size);
}

void thriftattn_selection_paper(thriftattn_selection* selection, size_t struct_size) {
  write_struct(to_c(Selection::paper()), selection, struct_size);
}

void thriftattn_report_default(thriftattn_report* report, size_t struct_size) {
  write_struct(thriftattn_report{}, report, struct_size);
}

void thriftattn_attend_params_default(thriftattn_attend_params* params, size_t struct_size) {
  write_struct(default_params(), params, struct_size);
}

thriftattn_status thriftattn_thread_pool_create(int32_t threads, thriftattn_thread_pool** pool) {
  return guarded([&]() -> Status {
    if (pool == nullptr) return invalid_argument("pool is NULL");
    *pool = nullptr;
    constexpr std::int32_t kMaxThreads = 1024;
    if (threads < 0 || threads > kMaxThreads) {
      return invalid_argument("threads " + std::to_string(threads) + ": supported 0 to " +
                              std::to_string(kMaxThreads));
    }
    *pool = new thriftattn_thread_pool{thriftattn::make_thread_pool(threads)};
    return {};
  });
}

void thriftattn_thread_pool_free(thriftattn_thread_pool* pool) { delete pool; }

thriftattn_status thriftattn_attend(const thriftattn_cache* cache,
                                    const thriftattn_attend_params* params) {
  return guarded([&] { return attend_from_c(cache, params); });
}
