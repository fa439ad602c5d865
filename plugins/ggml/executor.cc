// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "executor.h"

#include <dlfcn.h>

#include <cstring>

#include "ggml-backend.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace thriftattn::plugin {
namespace {

#ifdef _OPENMP
class OpenMpExecutor final : public Executor {
 public:
  explicit OpenMpExecutor(int threads) : threads_(threads) {}
  [[nodiscard]] int threads() const override { return threads_; }
  void run(std::int64_t count, const Task& task) override {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_) if (count > 1)
    for (std::int64_t i = 0; i < count; ++i) task(i, omp_get_thread_num());
  }

 private:
  int threads_;
};
#endif

// Asks the registered CPU backend. Modules do not link ggml's registry, so it is looked up in the
// process.
bool ggml_runs_on_openmp() {
  using ByName = ggml_backend_reg_t (*)(const char*);
  using ProcAddress = void* (*)(ggml_backend_reg_t, const char*);
  const auto by_name = reinterpret_cast<ByName>(dlsym(RTLD_DEFAULT, "ggml_backend_reg_by_name"));
  const auto proc_address =
      reinterpret_cast<ProcAddress>(dlsym(RTLD_DEFAULT, "ggml_backend_reg_get_proc_address"));
  if (!by_name || !proc_address) return false;
  ggml_backend_reg_t cpu = by_name("CPU");
  if (!cpu) return false;
  const auto features =
      reinterpret_cast<ggml_backend_get_features_t>(proc_address(cpu, "ggml_backend_get_features"));
  if (!features) return false;
  for (const ggml_backend_feature* f = features(cpu); f && f->name; ++f) {
    if (std::strcmp(f->name, "OPENMP") == 0) return std::strcmp(f->value, "1") == 0;
  }
  return false;
}

}  // namespace

std::unique_ptr<Executor> make_openmp_executor([[maybe_unused]] int threads) {
#ifdef _OPENMP
  return std::make_unique<OpenMpExecutor>(threads);
#else
  return nullptr;
#endif
}

std::unique_ptr<Executor> make_executor(int threads) {
  if (ggml_runs_on_openmp()) {
    if (std::unique_ptr<Executor> openmp = make_openmp_executor(threads)) return openmp;
  }
  return make_thread_pool(threads);
}

}  // namespace thriftattn::plugin
