// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Which ISA runs: what the CPU and the operating system offer, THRIFTATTN_ISA, force_isa.
#include <array>
#include <atomic>
#include <cstdlib>

#include "engine/kernel_table.h"
#include "thriftattn/device.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace thriftattn {
namespace {

struct Feature {
  const char* name;
  bool present;
};

#if defined(__x86_64__)
// XCR0: which registers the operating system saves. Only where CPUID says OSXSAVE.
std::uint32_t enabled_state() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

struct CpuId {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t state = 0;

  CpuId() {
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    std::uint32_t d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0) leaf1_ecx = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) leaf7_ebx = b;
    if ((leaf1_ecx >> 27 & 1) != 0) state = enabled_state();
  }
};

template <std::size_t n>
std::string names_of_missing(const std::array<Feature, n>& features) {
  std::string names;
  for (const Feature& feature : features) {
    if (feature.present) continue;
    if (!names.empty()) names += ", ";
    names += feature.name;
  }
  return names;
}

bool bit(std::uint32_t word, int index) { return (word >> index & 1) != 0; }

std::string missing_for_avx2() {
  const CpuId id;
  return names_of_missing(
      std::array{Feature{"avx2", bit(id.leaf7_ebx, 5)}, Feature{"fma", bit(id.leaf1_ecx, 12)},
                 Feature{"f16c", bit(id.leaf1_ecx, 29)},
                 Feature{"ymm state of the operating system", (id.state & 0x06) == 0x06}});
}

std::string missing_for_avx512() {
  const CpuId id;
  return names_of_missing(std::array{
      Feature{"avx512f", bit(id.leaf7_ebx, 16)}, Feature{"avx512dq", bit(id.leaf7_ebx, 17)},
      Feature{"avx512bw", bit(id.leaf7_ebx, 30)}, Feature{"avx512vl", bit(id.leaf7_ebx, 31)},
      Feature{"fma", bit(id.leaf1_ecx, 12)}, Feature{"f16c", bit(id.leaf1_ecx, 29)},
      Feature{"zmm state of the operating system", (id.state & 0xe6) == 0xe6}});
}
#else
std::string missing_for_avx2() { return "x86-64"; }
std::string missing_for_avx512() { return "x86-64"; }
#endif

std::string missing_for_scalar() { return {}; }

struct Isa {
  const char* name;
  const KernelTable* (*kernels)();
  std::string (*missing)();
};

// Slowest first.
constexpr std::array kIsas = {Isa{"scalar", cpu::scalar_kernels, missing_for_scalar},
                              Isa{"avx2", cpu::avx2_kernels, missing_for_avx2},
                              Isa{"avx512", cpu::avx512_kernels, missing_for_avx512}};

std::atomic<const KernelTable*> forced_kernels = nullptr;

std::string supported_names() {
  std::string names;
  for (const IsaInfo& isa : list_isas()) {
    if (!isa.supported) continue;
    if (!names.empty()) names += ", ";
    names += isa.name;
  }
  return names;
}

Result<const KernelTable*> find_kernels(const std::string& source, std::string_view name) {
  for (const Isa& isa : kIsas) {
    if (name != isa.name || isa.kernels() == nullptr) continue;
    const std::string missing = isa.missing();
    if (missing.empty()) return isa.kernels();
    return unsupported(source + " " + isa.name + ": this CPU lacks " + missing + "; supported " +
                       supported_names());
  }
  return invalid_argument(source + " " + std::string(name) + ": unknown; supported " +
                          supported_names());
}

const KernelTable* fastest_kernels() {
  static const KernelTable* const fastest = [] {
    const KernelTable* found = nullptr;
    for (const Isa& isa : kIsas) {
      if (isa.kernels() != nullptr && isa.missing().empty()) found = isa.kernels();
    }
    return found;
  }();
  return fastest;
}

// The environment is asked every time: once an attend call, which it does not slow down.
Result<const KernelTable*> choose_kernels() {
  if (const KernelTable* forced = forced_kernels.load()) return forced;
  const char* wanted = std::getenv("THRIFTATTN_ISA");
  if (wanted == nullptr || *wanted == '\0') return fastest_kernels();
  return find_kernels("THRIFTATTN_ISA", wanted);
}

}  // namespace

std::vector<IsaInfo> list_isas() {
  std::vector<IsaInfo> isas;
  for (const Isa& isa : kIsas) {
    if (isa.kernels() == nullptr) continue;
    std::string missing = isa.missing();
    isas.push_back({isa.name, missing.empty(), std::move(missing)});
  }
  return isas;
}

Result<std::string> active_isa() {
  const Result<const KernelTable*> chosen = choose_kernels();
  if (!chosen.ok()) return chosen.status();
  return std::string(chosen.value()->name);
}

Status force_isa(std::string_view name) {
  if (name.empty()) {
    forced_kernels = nullptr;
    return {};
  }
  const Result<const KernelTable*> found = find_kernels("isa", name);
  if (!found.ok()) return found.status();
  forced_kernels = found.value();
  return {};
}

const KernelTable* active_kernels() {
  const Result<const KernelTable*> chosen = choose_kernels();
  return chosen.ok() ? chosen.value() : nullptr;
}

}  // namespace thriftattn
