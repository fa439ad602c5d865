// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// A pool whose workers sleep on a futex between calls: it never spins against the host program's
// own threads.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "thriftattn/executor.h"

namespace thriftattn {
namespace {

class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this, i] { work(i); });
    }
  }

  ~ThreadPool() override {
    stop_ = true;
    ++round_;
    round_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  [[nodiscard]] int threads() const override { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t count, const Task& task) override {
    if (count <= 0) return;
    const std::lock_guard<std::mutex> one_caller(mutex_);
    if (workers_.empty() || count == 1) {
      for (std::int64_t i = 0; i < count; ++i) task(i, 0);
      return;
    }
    task_ = &task;
    count_ = count;
    next_ = 0;
    busy_ = static_cast<int>(workers_.size());
    ++round_;
    round_.notify_all();
    drain(0);
    for (int busy = busy_; busy != 0; busy = busy_) busy_.wait(busy);
  }

 private:
  void drain(int thread) {
    for (std::int64_t i = next_++; i < count_; i = next_++) (*task_)(i, thread);
  }

  void work(int thread) {
    std::uint32_t seen = 0;
    while (true) {
      round_.wait(seen);
      seen = round_;
      if (stop_) return;
      drain(thread);
      if (--busy_ == 0) busy_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::atomic<std::uint32_t> round_ = 0;  // grows by one with every run
  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> next_ = 0;
  std::atomic<int> busy_ = 0;  // workers that have not finished the round
  const Task* task_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Executor> make_thread_pool(int threads) {
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::make_unique<ThreadPool>(threads);
}

}  // namespace thriftattn
