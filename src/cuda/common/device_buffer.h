// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Device memory that is freed with its owner.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "cuda/common/error.h"
#include "thriftattn/status.h"

namespace thriftattn::cuda {

template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~DeviceBuffer() { cudaFree(data_); }

  // `count` elements of the current device, all bytes zero. `what` goes into the message.
  Status allocate(std::int64_t count, const char* what) {
    void* memory = nullptr;
    const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (cudaMalloc(&memory, bytes) != cudaSuccess) {
      cudaGetLastError();  // the error is reported, not sticky
      return {StatusCode::kOutOfMemory,
              std::string(what) + ": no device memory for " + std::to_string(bytes) + " bytes"};
    }
    cudaFree(std::exchange(data_, static_cast<T*>(memory)));
    count_ = count;
    return to_status(cudaMemset(memory, 0, bytes), what);
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::int64_t bytes() const { return count_ * static_cast<std::int64_t>(sizeof(T)); }

 private:
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

// Makes a device current for a scope.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    cudaGetDevice(&before_);
    if (before_ != device) cudaSetDevice(device);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  ~DeviceScope() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};

}  // namespace thriftattn::cuda
