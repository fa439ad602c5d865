// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// Pinned host memory that devices read and write at the same address; freed with its owner.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "cuda/common/error.h"

namespace thriftattn::cuda {

template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~PinnedBuffer() { cudaFreeHost(data_); }

  // `count` elements, all bytes zero. `what` goes into the message.
  Status allocate(std::int64_t count, const char* what) {
    void* memory = nullptr;
    const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (cudaHostAlloc(&memory, bytes, cudaHostAllocMapped | cudaHostAllocPortable) != cudaSuccess) {
      cudaGetLastError();  // the error is reported, not sticky
      return {StatusCode::kOutOfMemory, std::string(what) + ": no pinned host memory for " +
                                            std::to_string(bytes) + " bytes"};
    }
    std::memset(memory, 0, bytes);
    cudaFreeHost(std::exchange(data_, static_cast<T*>(memory)));
    return {};
  }

  [[nodiscard]] T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

}  // namespace thriftattn::cuda
