// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Registry entry and device. An integrated GPU with its own host buffer type is what makes
// llama.cpp put the KV cache, and nothing else, into our memory.
#include "module.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "buffer.h"
#include "options.h"
#include "stats.h"
#include "thriftattn/device.h"

namespace thriftattn::plugin {
namespace {

// MemAvailable and MemTotal. Never 0: hosts divide by it.
void get_memory(ggml_backend_dev_t, std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{1} << 30;
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  std::size_t kib = 0;
  while (meminfo >> key >> kib >> unit) {
    if (key == "MemTotal:") *total = kib << 10;
    if (key == "MemAvailable:" && kib > 0) *free = kib << 10;
  }
}

constexpr const char* kDescription =
    "ThriftAttention: FP4 KV cache with promoted blocks, on the CPU";

void get_props(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  *props = {};
  props->name = kDeviceName;
  props->description = kDescription;
  props->type = GGML_BACKEND_DEVICE_TYPE_IGPU;
  get_memory(device, &props->memory_free, &props->memory_total);
  props->caps.mmap_support = true;  // else llama.cpp turns mmap off for the whole model
}

// get_host_buffer_type stays NULL: it would take the weights from the CPU's repacking buffer types.
ggml_backend_device_i device_interface() {
  ggml_backend_device_i i = {};
  i.get_name = [](ggml_backend_dev_t) { return kDeviceName; };
  i.get_description = [](ggml_backend_dev_t) { return kDescription; };
  i.get_memory = get_memory;
  i.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_IGPU; };
  i.get_props = get_props;
  i.init_backend = [](ggml_backend_dev_t d, const char*) { return new_backend(d); };
  i.get_buffer_type = [](ggml_backend_dev_t) { return buffer_type(); };
  i.supports_op = [](ggml_backend_dev_t, const ggml_tensor* op) { return supports_op(op); };
  i.supports_buft = [](ggml_backend_dev_t, ggml_backend_buffer_type_t type) {
    return type == buffer_type() || ggml_backend_buft_is_host(type);
  };
  return i;
}

void get_options(Options* options) { *options = current_options(); }
void get_stats(Stats* stats) { *stats = current_stats(); }

template <class Function>
void* address(Function* function) {
  return reinterpret_cast<void*>(function);
}

void* get_proc_address(ggml_backend_reg_t, const char* name) {
  const struct {
    const char* name;
    void* address;
  } functions[] = {
      {"ggml_backend_set_n_threads", address(set_threads)},
      {"thriftattn_get_options", address(get_options)},
      {"thriftattn_set_options", address(set_options)},
      {"thriftattn_get_stats", address(get_stats)},
      {"thriftattn_reset_stats", address(reset_stats)},
  };
  for (const auto& f : functions) {
    if (std::strcmp(f.name, name) == 0) return f.address;
  }
  return nullptr;
}

ggml_backend_reg* registry() {
  static ggml_backend_reg reg = {
      .api_version = GGML_BACKEND_API_VERSION,
      .iface = {.get_name = [](ggml_backend_reg_t) { return kDeviceName; },
                .get_device_count = [](ggml_backend_reg_t) { return std::size_t{1}; },
                .get_device = [](ggml_backend_reg_t, std::size_t) { return device(); },
                .get_proc_address = get_proc_address},
      .context = nullptr};
  return &reg;
}

struct StatsAtExit {
  ~StatsAtExit() {
    if (statistics_at_exit()) print_stats();
  }
};

bool refuse(const std::string& message) {
  std::fprintf(stderr, "thriftattn: not loaded: %s\n", message.c_str());
  return false;
}

// Members move between ggml versions in ways its API number does not show, so only the exact one
// will do.
bool ready() {
  if (std::strcmp(ggml_version(), THRIFTATTN_GGML_VERSION) != 0) {
    return refuse(std::string("ggml ") + ggml_version() + ": supported " THRIFTATTN_GGML_VERSION);
  }
  if (const std::string message = load_environment(); !message.empty()) return refuse(message);
  if (const Result<std::string> isa = active_isa(); !isa.ok()) {
    return refuse(isa.status().message());
  }
  return true;
}

}  // namespace

ggml_backend_dev_t device() {
  static ggml_backend_device instance = {
      .iface = device_interface(), .reg = registry(), .context = nullptr};
  return &instance;
}

// NULL makes the host go on without the module.
ggml_backend_reg_t load() {
  if (!ready()) return nullptr;
  current_stats();  // constructed before, so destroyed after, the object that prints it
  static StatsAtExit at_exit;
  return registry();
}

}  // namespace thriftattn::plugin

GGML_BACKEND_DL_IMPL(thriftattn::plugin::load)
