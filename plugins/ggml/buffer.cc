// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "buffer.h"

#include <cstdlib>
#include <cstring>

#include "module.h"
#include "options.h"
#include "rows.h"

namespace thriftattn::plugin {
namespace {

constexpr std::size_t kAlignment = 64;

KvBuffer* context_of(ggml_backend_buffer_t buffer) {
  return static_cast<KvBuffer*>(buffer->context);
}
char* data_of(const ggml_tensor* tensor) { return static_cast<char*>(tensor->data); }

void free_buffer(ggml_backend_buffer_t buffer) { delete context_of(buffer); }
void* get_base(ggml_backend_buffer_t buffer) { return context_of(buffer)->base(); }

void memset_tensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, std::uint8_t value,
                   std::size_t offset, std::size_t size) {
  std::memset(data_of(tensor) + offset, value, size);
  context_of(buffer)->written(data_of(tensor) + offset, size, Writer::kMemset);
}

void set_tensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, const void* data,
                std::size_t offset, std::size_t size) {
  std::memcpy(data_of(tensor) + offset, data, size);
  context_of(buffer)->written(data_of(tensor) + offset, size, Writer::kSetTensor);
}

void get_tensor(ggml_backend_buffer_t, const ggml_tensor* tensor, void* data, std::size_t offset,
                std::size_t size) {
  std::memcpy(data, data_of(tensor) + offset, size);
}

bool cpy_tensor(ggml_backend_buffer_t buffer, const ggml_tensor* src, ggml_tensor* dst) {
  if (!ggml_backend_buffer_is_host(buffer_of(src))) return false;
  std::memcpy(dst->data, src->data, ggml_nbytes(src));
  context_of(buffer)->written(dst->data, ggml_nbytes(src), Writer::kCopyTensor);
  return true;
}

void clear(ggml_backend_buffer_t buffer, std::uint8_t value) {
  KvBuffer* kv = context_of(buffer);
  std::memset(kv->base(), value, kv->bytes());
  kv->written(kv->base(), kv->bytes(), Writer::kClear);
}

// The 2d copies stay NULL: ggml then calls set_tensor for each of them.
constexpr ggml_backend_buffer_i kBufferInterface = {
    .free_buffer = free_buffer,
    .get_base = get_base,
    .init_tensor = nullptr,
    .memset_tensor = memset_tensor,
    .set_tensor = set_tensor,
    .get_tensor = get_tensor,
    .set_tensor_2d = nullptr,
    .get_tensor_2d = nullptr,
    .cpy_tensor = cpy_tensor,
    .clear = clear,
    .reset = nullptr,
};

ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, std::size_t size) {
  std::unique_ptr<KvBuffer> kv = KvBuffer::allocate(size);
  if (!kv) return nullptr;
  return ggml_backend_buffer_init(type, kBufferInterface, kv.release(), size);
}

}  // namespace

ggml_backend_buffer_type_t buffer_type() {
  static ggml_backend_buffer_type type = {
      .iface = {.get_name = [](ggml_backend_buffer_type_t) { return kDeviceName; },
                .alloc_buffer = alloc_buffer,
                .get_alignment = [](ggml_backend_buffer_type_t) { return kAlignment; },
                .get_max_size = nullptr,
                .get_alloc_size = nullptr,
                .is_host = [](ggml_backend_buffer_type_t) { return true; }},
      .device = device(),
      .context = nullptr};
  return &type;
}

KvBuffer* KvBuffer::of(const ggml_tensor* tensor) {
  ggml_backend_buffer_t buffer = tensor ? buffer_of(tensor) : nullptr;
  return buffer && buffer->buft == buffer_type() ? context_of(buffer) : nullptr;
}

std::unique_ptr<KvBuffer> KvBuffer::allocate(std::size_t bytes) {
  // Blocks of 64 rows may be read whole, past the last cell of an odd-sized tensor: one unit to
  // spare.
  const std::size_t rounded = (bytes / kAlignment + 2) * kAlignment;
  char* base = static_cast<char*>(std::aligned_alloc(kAlignment, rounded));
  return base ? std::unique_ptr<KvBuffer>(new KvBuffer(base, bytes)) : nullptr;
}

KvBuffer::~KvBuffer() { std::free(base_); }

void KvBuffer::written(const void* data, std::size_t bytes, Writer writer) {
  if (writer == dropped_hook()) return;
  const char* begin = static_cast<const char*>(data);
  const char* end = begin + bytes;
  const std::lock_guard lock(mutex_);
  auto it = roots_.upper_bound(begin);
  if (it != roots_.begin()) --it;
  for (; it != roots_.end() && it->first < end; ++it) {
    it->second->written(begin, end, writer == Writer::kSetRows);
  }
}

KvRoot* KvBuffer::root(const ggml_tensor* tensor) {
  const ggml_tensor* owner = root_of(tensor);
  if (!KvRoot::fits(owner) || owner->buffer->usage == GGML_BACKEND_BUFFER_USAGE_COMPUTE) {
    return nullptr;
  }
  std::unique_ptr<KvRoot>& root = roots_[static_cast<const char*>(owner->data)];
  if (!root) root = std::make_unique<KvRoot>(owner);
  return root.get();
}

bool KvBuffer::follow(const ggml_tensor* tensor) {
  const std::lock_guard lock(mutex_);
  return root(tensor) != nullptr;
}

bool KvBuffer::follows(const ggml_tensor* tensor) {
  const std::lock_guard lock(mutex_);
  return roots_.contains(static_cast<const char*>(root_of(tensor)->data));
}

void KvBuffer::distrust(const ggml_tensor* tensor) {
  const std::lock_guard lock(mutex_);
  const auto it = roots_.find(static_cast<const char*>(root_of(tensor)->data));
  if (it != roots_.end()) it->second->distrust();
}

KvPair* KvBuffer::pair(const ggml_tensor* k, const ggml_tensor* v) {
  const std::lock_guard lock(mutex_);
  KvRoot* k_root = root(k);
  KvRoot* v_root = root(v);
  if (!k_root || !v_root || k_root->cells() != v_root->cells() ||
      k_root->blocks() != v_root->blocks()) {
    return nullptr;
  }
  std::unique_ptr<KvPair>& pair = pairs_[{k_root, v_root}];
  if (!pair) pair = std::make_unique<KvPair>(*k_root, *v_root);
  return pair.get();
}

}  // namespace thriftattn::plugin
