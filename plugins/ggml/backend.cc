// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>

#include "buffer.h"
#include "executor.h"
#include "module.h"
#include "ops.h"
#include "options.h"
#include "rows.h"

namespace thriftattn::plugin {
namespace {

struct Stream {
  int threads = 1;
  std::unique_ptr<Executor>
      executor;  // made at the first graph, when ggml's own backends are known
};

bool is_view_op(ggml_op op) {
  return op == GGML_OP_NONE || op == GGML_OP_VIEW || op == GGML_OP_RESHAPE ||
         op == GGML_OP_PERMUTE || op == GGML_OP_TRANSPOSE;
}

bool ours(const ggml_tensor* t) {
  return KvBuffer::of(t) || (t && accept_unallocated() && !buffer_of(t));
}

// A K-shift writes into a cache that we follow. Other tensors in our memory (recurrent state) are
// the CPU's.
bool shifts_cache(const ggml_tensor* op) {
  if (!op->view_src) return false;
  KvBuffer* buffer = KvBuffer::of(op);
  return buffer ? buffer->follows(op) : ours(op);
}

bool claims(const ggml_tensor* op) {
  switch (op->op) {
    case GGML_OP_FLASH_ATTN_EXT:
      return ours(op->src[1]) && ours(op->src[2]) && flash_attention_supported(op);
    case GGML_OP_SET_ROWS:
      return ours(op) && set_rows_supported(op);
    case GGML_OP_ROPE:
      return shifts_cache(op) && rope_supported(op);
    case GGML_OP_CPY:
      return shifts_cache(op) && cpy_supported(op);
    default:
      return false;
  }
}

ggml_status compute_node(const ggml_tensor* node, Executor& executor) {
  switch (node->op) {
    case GGML_OP_FLASH_ATTN_EXT:
      if (const std::string message = flash_attention(node, executor); !message.empty()) {
        std::fprintf(stderr, "thriftattn: %s: %s\n", node->name, message.c_str());
        return GGML_STATUS_FAILED;
      }
      return GGML_STATUS_SUCCESS;
    case GGML_OP_SET_ROWS:
      set_rows(node, executor);
      return GGML_STATUS_SUCCESS;
    case GGML_OP_ROPE:
      rope(node, executor);
      return GGML_STATUS_SUCCESS;
    case GGML_OP_CPY:
      cpy(node, executor);
      return GGML_STATUS_SUCCESS;
    default:
      std::fprintf(
          stderr, "thriftattn: operation %s of %s: supported FLASH_ATTN_EXT, SET_ROWS, ROPE, CPY\n",
          ggml_op_name(node->op), node->name);
      return GGML_STATUS_FAILED;
  }
}

ggml_status graph_compute(ggml_backend_t backend, ggml_cgraph* graph) {
  auto* stream = static_cast<Stream*>(backend->context);
  if (!stream->executor) stream->executor = make_executor(stream->threads);
  try {
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
      const ggml_tensor* node = ggml_graph_node(graph, i);
      if (is_view_op(node->op)) continue;
      if (const ggml_status s = compute_node(node, *stream->executor); s != GGML_STATUS_SUCCESS) {
        return s;
      }
    }
  } catch (const std::bad_alloc&) {
    return GGML_STATUS_ALLOC_FAILED;
  }
  return GGML_STATUS_SUCCESS;
}

void free_backend(ggml_backend_t backend) {
  delete static_cast<Stream*>(backend->context);
  delete backend;
}

ggml_guid_t guid() {
  static ggml_guid id = {0x74, 0x68, 0x72, 0x69, 0x66, 0x74, 0x61, 0x74,
                         0x74, 0x6e, 0x2d, 0x67, 0x67, 0x6d, 0x6c, 0x31};
  return &id;
}

constexpr ggml_backend_i backend_interface() {
  ggml_backend_i i = {};
  i.get_name = [](ggml_backend_t) { return kDeviceName; };
  i.free = free_backend;
  i.graph_compute = graph_compute;
  return i;
}

}  // namespace

bool supports_op(const ggml_tensor* op) {
  if (is_view_op(op->op)) return true;
  if (claims(op)) return true;
  // What we do not claim runs on another backend. If it writes a cache that we follow, we would not
  // see it.
  if (op->view_src) {
    if (KvBuffer* buffer = KvBuffer::of(op); buffer && buffer->follows(op)) buffer->distrust(op);
  }
  return false;
}

ggml_backend_t new_backend(ggml_backend_dev_t device) {
  return new ggml_backend{guid(), backend_interface(), device, new Stream};
}

void set_threads(ggml_backend_t backend, int threads) {
  auto* stream = static_cast<Stream*>(backend->context);
  if (stream->threads == threads) return;
  stream->threads = threads;
  stream->executor.reset();
}

}  // namespace thriftattn::plugin
