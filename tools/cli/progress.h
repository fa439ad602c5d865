// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Progress on stderr: a bar with the time left on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace thriftattn::cli {

class Progress {
 public:
  explicit Progress(double total);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of `total`; `what` says what runs now.
  void update(double done, const std::string& what);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(double share, double left_seconds, const std::string& what);

  double total_;
  bool terminal_;
  bool open_line_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_ = start_;
};

}  // namespace thriftattn::cli
