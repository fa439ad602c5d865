// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "thriftattn/attention.h"

namespace thriftattn {
namespace {

double share(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

}  // namespace

AttendReport& AttendReport::operator+=(const AttendReport& other) {
  rows += other.rows;
  units += other.units;
  blocks += other.blocks;
  forced += other.forced;
  promoted_k += other.promoted_k;
  promoted_v += other.promoted_v;
  tail += other.tail;
  mass_covered += other.mass_covered;
  mass_tail += other.mass_tail;
  bytes_low += other.bytes_low;
  bytes_high += other.bytes_high;
  return *this;
}

double AttendReport::promoted_share() const {
  return share(static_cast<double>(promoted_k + promoted_v),
               2.0 * static_cast<double>(blocks - forced));
}

double AttendReport::forced_share() const {
  return share(static_cast<double>(forced), static_cast<double>(blocks));
}

double AttendReport::tail_share() const {
  return share(static_cast<double>(tail), static_cast<double>(blocks));
}

}  // namespace thriftattn
