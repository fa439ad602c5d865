// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "c_api/guard.h"
#include "c_api/handles.h"
#include "thriftattn/attention.h"

namespace {

using thriftattn::AttendOptions;
using thriftattn::AttendParams;
using thriftattn::AttendReport;
using thriftattn::Budget;
using thriftattn::ComputeMode;
using thriftattn::invalid_argument;
using thriftattn::Policy;
using thriftattn::Selection;
using thriftattn::SelectionUnit;
using thriftattn::Status;
using namespace thriftattn::c_api;

constexpr std::int32_t kPolicies = 5;
constexpr std::int32_t kBudgetKinds = 4;
constexpr std::int32_t kUnits = 4;
constexpr std::int32_t kModes = 2;
// Sizes of the structs of ABI version 1; a later field leaves them as they are.
constexpr std::size_t kFirstSelectionSize = sizeof(thriftattn_selection);
constexpr std::size_t kFirstReportSize = sizeof(thriftattn_report);
constexpr std::size_t kFirstParamsSize = sizeof(thriftattn_attend_params);

thriftattn_selection to_c(const Selection& from) {
  thriftattn_selection selection = {};
  selection.policy = static_cast<std::int32_t>(from.policy);
  selection.budget_kind = static_cast<std::int32_t>(from.budget.kind);
  selection.budget = from.budget.value;
  selection.k_share = from.budget.k_share;
  selection.v_share = from.budget.v_share;
  selection.tau = from.tau;
  selection.force_sink = from.force_sink;
  selection.force_own = from.force_own;
  selection.unit = static_cast<std::int32_t>(from.unit);
  selection.seed = from.seed;
  return selection;
}

Status read_selection(const thriftattn_selection* in, Selection* out) {
  thriftattn_selection s = to_c({});
  Status status = read_struct(in, "selection", kFirstSelectionSize, &s);
  if (status.ok()) status = check_enum("selection.policy", s.policy, kPolicies);
  if (status.ok()) status = check_enum("selection.budget_kind", s.budget_kind, kBudgetKinds);
  if (status.ok()) status = check_enum("selection.unit", s.unit, kUnits);
  if (!status.ok()) return status;
  out->policy = static_cast<Policy>(s.policy);
  out->budget = {static_cast<Budget::Kind>(s.budget_kind), s.budget, s.k_share, s.v_share};
  out->tau = s.tau;
  out->force_sink = s.force_sink != 0;
  out->force_own = s.force_own != 0;
  out->unit = static_cast<SelectionUnit>(s.unit);
  out->seed = s.seed;
  return {};
}

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

void add_report(const AttendReport& from, thriftattn_report* sums) {
  sums->rows += from.rows;
  sums->units += from.units;
  sums->blocks += from.blocks;
  sums->forced += from.forced;
  sums->promoted_k += from.promoted_k;
  sums->promoted_v += from.promoted_v;
  sums->tail += from.tail;
  sums->mass_covered += from.mass_covered;
  sums->mass_tail += from.mass_tail;
  sums->bytes_low += from.bytes_low;
  sums->bytes_high += from.bytes_high;
}

Status attend_from_c(const thriftattn_cache* cache, const thriftattn_attend_params* in) {
  if (cache == nullptr) return invalid_argument("cache is NULL");
  thriftattn_attend_params params = default_params();
  Status status = read_struct(in, "params", kFirstParamsSize, &params);
  thriftattn_report sums = {};
  if (status.ok() && params.report != nullptr) {
    status = read_struct(params.report, "report", kFirstReportSize, &sums);
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
