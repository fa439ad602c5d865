// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How a command ends early: one line for the user and an exit code.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "thriftattn/status.h"

namespace thriftattn::cli {

inline constexpr int kExitFailure = 1;  // the wish was fine, the world was not
inline constexpr int kExitUsage = 2;    // the wish made no sense

class CliError : public std::runtime_error {
 public:
  CliError(int exit_code, const std::string& message)
      : std::runtime_error(message), exit_code_(exit_code) {}
  [[nodiscard]] int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

template <class... Args>
CliError usage_error(fmt::format_string<Args...> format, Args&&... args) {
  return {kExitUsage, fmt::format(format, std::forward<Args>(args)...)};
}

template <class... Args>
CliError failure(fmt::format_string<Args...> format, Args&&... args) {
  return {kExitFailure, fmt::format(format, std::forward<Args>(args)...)};
}

// Throws where the status is not ok: usage for the caller's mistakes, failure for the rest.
inline void require(const Status& status) {
  if (status.ok()) return;
  const bool usage = status.code() == StatusCode::kInvalidArgument ||
                     status.code() == StatusCode::kUnsupported ||
                     status.code() == StatusCode::kNotFound;
  throw CliError(usage ? kExitUsage : kExitFailure, status.message());
}

}  // namespace thriftattn::cli
