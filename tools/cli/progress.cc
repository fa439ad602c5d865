// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace thriftattn::cli {
namespace {

constexpr int kBarWidth = 32;
constexpr double kTerminalSeconds = 0.2;
constexpr double kLogSeconds = 15;

std::string clock_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(double total)
    : total_(std::max(total, 1e-9)), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (open_line_) fmt::print(stderr, "\r\033[K");
}

void Progress::update(double done, const std::string& what) {
  const auto now = Clock::now();
  const double waited = std::chrono::duration<double>(now - drawn_).count();
  if (waited < (terminal_ ? kTerminalSeconds : kLogSeconds)) return;
  drawn_ = now;
  const double share = std::clamp(done / total_, 0.0, 1.0);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  draw(share, share > 0 ? elapsed * (1 - share) / share : 0, what);
}

void Progress::draw(double share, double left_seconds, const std::string& what) {
  const std::string left = share > 0.01 ? clock_text(left_seconds) : "?";
  if (!terminal_) {
    fmt::print(stderr, "{:3.0f} %  {} left  {}\n", share * 100, left, what);
    return;
  }
  const int filled = static_cast<int>(share * kBarWidth);
  fmt::print(stderr, "\r\033[K[{:#<{}}{:.<{}}] {:3.0f} %  {} left  {}", "", filled, "",
             kBarWidth - filled, share * 100, left, what);
  std::fflush(stderr);
  open_line_ = true;
}

}  // namespace thriftattn::cli
