// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Large allocations that report failure, and sizes that cannot overflow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>

namespace thriftattn::kv {

// The product of non-negative factors, nothing where it overflows.
std::optional<std::int64_t> checked_product(std::initializer_list<std::int64_t> factors);

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

// Uninitialised bytes that start on a cache line; large ones take memory only as they are touched.
class Arena {
 public:
  // Nothing where the system has no such memory. 0 bytes is an empty arena.
  static std::optional<Arena> allocate(std::int64_t bytes);

  [[nodiscard]] std::byte* at(std::int64_t offset) { return memory_.get() + offset; }
  [[nodiscard]] const std::byte* at(std::int64_t offset) const { return memory_.get() + offset; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
  std::unique_ptr<std::byte, FreeDeleter> memory_;
};

// `count` zeros, also touched lazily; empty where the system has no such memory.
template <class T>
using ZeroedArray = std::unique_ptr<T[], FreeDeleter>;

template <class T>
ZeroedArray<T> allocate_zeroed(std::int64_t count) {
  return ZeroedArray<T>(static_cast<T*>(std::calloc(static_cast<std::size_t>(count), sizeof(T))));
}

}  // namespace thriftattn::kv
