// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What a call did, read back from the device. A unit here is a panel: up to 8 rows of one kv head,
// which read each block once.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/decode/plan.h"
#include "kv/append_checks.h"

namespace thriftattn {
namespace cuda {
namespace {

// Host copies of what the last call left behind.
struct Outcome {
  std::vector<std::uint8_t> fates;       // [panels, max_blocks]
  std::vector<float> masses;             // [panels, max_blocks, 8]
  std::vector<float> row_lse;            // [panels, 8]
  std::vector<AttendedLength> attended;  // [batch]
};

template <class T>
Status copy_to_host(const T* from, std::size_t count, std::vector<T>& to, cudaStream_t stream) {
  to.resize(count);
  return to_status(
      cudaMemcpyAsync(to.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost, stream),
      "report");
}

Status read_outcome(const CudaAttendPlan::Impl& plan, cudaStream_t stream, Outcome& outcome) {
  const auto panels = static_cast<std::size_t>(plan.last.panels);
  const std::size_t cells = panels * static_cast<std::size_t>(plan.max_blocks);
  Status s = copy_to_host(plan.fates.data(), cells, outcome.fates, stream);
  if (s.ok()) s = copy_to_host(plan.masses.data(), cells * kPanelRows, outcome.masses, stream);
  if (s.ok()) s = copy_to_host(plan.row_lse.data(), panels * kPanelRows, outcome.row_lse, stream);
  outcome.attended.resize(static_cast<std::size_t>(plan.last.batch));
  for (int i = 0; i < plan.last.batch && s.ok(); ++i) {
    const std::int32_t sequence = plan.last.sequence[i];
    const bool behind = plan.append_was_behind;
    const void* from = behind ? static_cast<const void*>(plan.attended.data() + sequence)
                              : plan.last_cache.lengths + sequence;
    const std::size_t bytes = behind ? sizeof(AttendedLength) : sizeof(std::int32_t);
    s = to_status(
        cudaMemcpyAsync(&outcome.attended[i], from, bytes, cudaMemcpyDeviceToHost, stream),
        "report");
  }
  return s.ok() ? to_status(cudaStreamSynchronize(stream), "report") : s;
}

struct PanelPlace {
  int entry = 0;
  int kv_head = 0;
  int first_row = 0;
  int rows = 0;
};

// What K or V of a block in the high tier reads: rows, or low tile and residual where a nested
// cache has no rows of it.
void add_high_bytes(const DeviceTileLayout& layout, bool has_rows, int low_bytes,
                    AttendReport& report) {
  report.bytes_high += has_rows ? layout.high_bytes() : layout.residual_bytes();
  if (!has_rows) report.bytes_low += low_bytes;
}

void add_report(const CudaAttendPlan::Impl& plan, const PanelPlace& place, const float* masses,
                const float* row_lse, const std::uint8_t* fates, AttendedLength length,
                AttendReport& report) {
  const DeviceTileLayout layout{plan.head_dim};
  const std::int64_t blocks = kv::blocks_of(length.tokens);
  report.rows += place.rows;
  report.units += 1;
  for (std::int64_t b = 0; b < blocks; ++b) {
    const unsigned fate = fates[b];
    const bool forced = (fate & kFateForced) != 0;
    const bool high_k = forced || (fate & kFatePromotedK) != 0;
    const bool high_v = forced || (fate & kFatePromotedV) != 0;
    const bool tail = (fate & kFateTail) != 0;
    report.blocks += 1;
    report.forced += forced;
    report.promoted_k += !forced && high_k;
    report.promoted_v += !forced && high_v;
    report.tail += tail;
    const bool is_open = (b + 1) * kBlockTokens > length.tokens - length.fresh;
    const bool has_rows = plan.high_tier == HighTier::kRows16 || is_open;
    if (high_k) {
      add_high_bytes(layout, has_rows, layout.k_bytes(), report);
    } else {
      report.bytes_low += layout.k_bytes();
    }
    if (high_v) {
      add_high_bytes(layout, has_rows, layout.v_bytes(), report);
    } else if (!tail) {
      report.bytes_low += layout.v_bytes();
    }
    for (int r = 0; r < place.rows; ++r) {
      const double mass = std::exp2(double(masses[b * kPanelRows + r]) - row_lse[r]);
      if (!std::isfinite(mass)) continue;
      if (high_k) report.mass_covered += mass;
      if (tail) report.mass_tail += mass;
    }
  }
}

// One trace entry a token, since a panel may begin and end inside a token's group.
void add_trace(const CallShape& shape, const PanelPlace& place, const std::uint8_t* fates,
               std::int64_t blocks, AttendTrace& trace) {
  for (int row = place.first_row; row < place.first_row + place.rows;) {
    const int token = row / shape.group;
    const int end = std::min((token + 1) * shape.group, place.first_row + place.rows);
    UnitTrace unit;
    unit.sequence = place.entry;
    unit.kv_head = place.kv_head;
    unit.first_q_head = place.kv_head * shape.group + row % shape.group;
    unit.q_heads = end - row;
    unit.first_token = token;
    unit.tokens = 1;
    unit.fate.assign(fates, fates + blocks);
    trace.push_back(std::move(unit));
    row = end;
  }
}

}  // namespace
}  // namespace cuda

Status report(const CudaAttendPlan& plan, CudaStream stream, AttendReport* report,
              AttendTrace* trace) {
  using namespace cuda;
  const CudaAttendPlan::Impl& p = plan.impl();
  if (!p.called) return invalid_argument("report: this plan has made no call");
  const DeviceScope scope(p.device);
  Outcome outcome;
  if (Status s = read_outcome(p, static_cast<cudaStream_t>(stream.handle), outcome); !s.ok()) {
    return s;
  }
  for (int index = 0; index < p.last.batch * p.kv_heads; ++index) {
    const CallUnit unit(p.last, p.kv_heads, index);
    const AttendedLength attended = outcome.attended[unit.entry];
    const std::int64_t blocks = kv::blocks_of(attended.tokens);
    for (int first_row = 0; first_row < unit.rows; first_row += kPanelRows) {
      const int panel = unit.first_panel + first_row / kPanelRows;
      const PanelPlace place{unit.entry, unit.kv_head, first_row,
                             std::min(kPanelRows, unit.rows - first_row)};
      const std::size_t cell = static_cast<std::size_t>(panel) * p.max_blocks;
      const std::uint8_t* fates = outcome.fates.data() + cell;
      if (report != nullptr) {
        add_report(p, place, outcome.masses.data() + cell * kPanelRows,
                   outcome.row_lse.data() + panel * kPanelRows, fates, attended, *report);
      }
      if (trace != nullptr) add_trace(p.last, place, fates, blocks, *trace);
    }
  }
  return {};
}

}  // namespace thriftattn
