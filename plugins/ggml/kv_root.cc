// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
#include "kv_root.h"

#include <algorithm>

#include "thriftattn/formats.h"

namespace thriftattn::plugin {

bool KvRoot::fits(const ggml_tensor* t) {
  return t->data && !t->view_src && ggml_is_contiguous(t) && t->ne[3] == 1 && t->ne[1] > 0 &&
         t->ne[1] % kBlockTokens == 0;
}

KvRoot::KvRoot(const ggml_tensor* t)
    : base_(static_cast<const char*>(t->data)),
      row_bytes_(static_cast<std::int64_t>(t->nb[1])),
      rows_(t->ne[1] * t->ne[2]),
      cells_(t->ne[1]),
      version_(rows_ / kBlockTokens, 1),
      append_epoch_(rows_ / kBlockTokens, 0) {}

void KvRoot::written(const char* begin, const char* end, bool append) {
  if (end <= base_ || begin >= this->end() || begin >= end) return;
  if (append && attended_) {
    ++epoch_;
    attended_ = false;
  }
  const std::int64_t block_bytes = row_bytes_ * kBlockTokens;
  const std::int64_t first = std::max<std::int64_t>(begin - base_, 0) / block_bytes;
  const std::int64_t last = (std::min(end, this->end()) - 1 - base_) / block_bytes;
  for (std::int64_t b = first; b <= last; ++b) {
    ++version_[b];
    if (append) append_epoch_[b] = epoch_;
  }
}

}  // namespace thriftattn::plugin
