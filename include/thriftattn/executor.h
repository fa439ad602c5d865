// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Where attend's work runs. The results never depend on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace thriftattn {

class Executor {
 public:
  using Task = std::function<void(std::int64_t task, int thread)>;

  virtual ~Executor() = default;
  [[nodiscard]] virtual int threads() const = 0;
  // Calls task(i, thread) once for every i in [0, count), thread in [0, threads()); returns when
  // all are done.
  virtual void run(std::int64_t count, const Task& task) = 0;
};

// Sleeping worker threads, woken for each run. `threads` includes the caller; 0 = one per CPU.
std::unique_ptr<Executor> make_thread_pool(int threads);

}  // namespace thriftattn
