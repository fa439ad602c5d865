// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The module's own host memory: every write to it ends in a hook, so the FP4 tiles of a KV cache
// that lives here can be kept coherent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "ggml-backend-impl.h"
#include "kv_pair.h"
#include "kv_root.h"

namespace thriftattn::plugin {

// Who writes. The names are those that THRIFTATTN_TEST_DROP_HOOK takes.
enum class Writer : std::uint8_t {
  kSetRows,
  kRope,
  kCpy,
  kSetTensor,
  kMemset,
  kCopyTensor,
  kClear,
  kCount,
};

class KvBuffer {
 public:
  // The buffer that holds the tensor's memory, or nullptr where it is not one of ours.
  static KvBuffer* of(const ggml_tensor* tensor);

  static std::unique_ptr<KvBuffer> allocate(std::size_t bytes);
  ~KvBuffer();
  KvBuffer(const KvBuffer&) = delete;
  KvBuffer& operator=(const KvBuffer&) = delete;

  [[nodiscard]] char* base() const { return base_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  void written(const void* data, std::size_t bytes, Writer writer);
  // Starts to follow the writes of a cache tensor (or any view of it). False where it has another
  // shape.
  bool follow(const ggml_tensor* tensor);
  [[nodiscard]] bool follows(const ggml_tensor* tensor);
  // A writer outside the module was seen on this tensor: no FP4 on it any more.
  void distrust(const ggml_tensor* tensor);
  // The two caches of a layer, both in this buffer; nullptr where one has no cache's shape.
  KvPair* pair(const ggml_tensor* k, const ggml_tensor* v);
  [[nodiscard]] std::mutex& mutex() { return mutex_; }

 private:
  KvBuffer(char* base, std::size_t bytes) : base_(base), bytes_(bytes) {}
  KvRoot* root(const ggml_tensor* tensor);

  char* base_;
  std::size_t bytes_;
  std::mutex mutex_;                                      // of all below
  std::map<const char*, std::unique_ptr<KvRoot>> roots_;  // by address
  std::map<std::pair<KvRoot*, KvRoot*>, std::unique_ptr<KvPair>> pairs_;
};

ggml_backend_buffer_type_t buffer_type();

}  // namespace thriftattn::plugin
