// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What the measured machine is.
#pragma once

#include <string>

namespace thriftattn::cli {

std::string cpu_model();  // as lscpu names it; "unknown CPU" where the system does not say
int cpu_count();          // CPUs that this process may use, at least 1

}  // namespace thriftattn::cli
