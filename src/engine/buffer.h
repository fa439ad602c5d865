// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Scratch memory that grows and is used again from call to call.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace thriftattn::engine {

// Uninitialised, aligned for the widest vectors.
template <class T>
class Buffer {
 public:
  // At least n elements, contents lost if it grows.
  T* reserve(std::size_t n) {
    if (n > capacity_) {
      memory_.reset();
      memory_.reset(static_cast<T*>(::operator new(n * sizeof(T), kAlignment)));
      capacity_ = n;
    }
    return memory_.get();
  }
  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace thriftattn::engine
