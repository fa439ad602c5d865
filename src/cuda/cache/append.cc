// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The host's side of appends and reservations: what it can check comes first, then pages are taken
// and kernels enqueued.
#include "cuda/cache/append.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <string>

#include "cuda/cache/cache_impl.h"
#include "kv/append_checks.h"
#include "kv/cache_state.h"
#include "numeric/dtype.h"

namespace thriftattn {
namespace {

using cuda::AppendArgs;
using cuda::AppendEntry;
using cuda::CacheSequence;
using cuda::DeviceScope;
using cuda::NewPage;
using cuda::to_status;

// Tokens to be added to each named sequence.
struct Growth {
  std::span<const SequenceId> sequences;
  std::span<const std::int64_t> offsets;  // empty: `each` tokens for each sequence
  std::int64_t each = 0;

  [[nodiscard]] std::int64_t tokens(std::size_t i) const {
    return offsets.empty() ? each : offsets[i + 1] - offsets[i];
  }
};

Status is_capturing(cudaStream_t stream, bool& capturing) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t error = cudaStreamIsCapturing(stream, &status);
  capturing = status != cudaStreamCaptureStatusNone;
  return to_status(error, "looking at the stream");
}

// Kernels load elements one by one, each at a multiple of its size.
Status check_alignment(const ConstTensorView& view, const char* name) {
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  const std::int64_t bytes = numeric::dtype_bytes(view.dtype);
  if (address % static_cast<std::uintptr_t>(bytes) == 0) return {};
  return invalid_argument(std::string(name) + ": not aligned to its elements of " +
                          std::to_string(bytes) + " bytes");
}

// Finds the sequences, and makes room in the host's tables for pages that are known to be free.
Status check_growth(CudaKvCache::Impl& impl, const Growth& growth) {
  ++impl.calls;
  std::int64_t needed = 0;
  for (std::size_t i = 0; i < growth.sequences.size(); ++i) {
    const SequenceId id = growth.sequences[i];
    CacheSequence* sequence = impl.find(id);
    if (sequence == nullptr) return kv::unknown_sequence(id);
    if (sequence->last_call == impl.calls) return kv::named_twice(id);
    sequence->last_call = impl.calls;
    sequence->kept_pages = sequence->table.size();
    const std::int64_t length = sequence->length + growth.tokens(i);
    if (length > impl.config.max_tokens) {
      return invalid_argument("sequence " + std::to_string(id) + ": " + std::to_string(length) +
                              " tokens, max_tokens is " + std::to_string(impl.config.max_tokens));
    }
    const auto held = static_cast<std::int64_t>(sequence->table.size());
    needed += std::max<std::int64_t>(kv::blocks_of(length) - held, 0);
  }
  const std::int64_t free = impl.pages.free_pages();
  if (needed > free) return kv::short_of_pages(needed, free, impl.config.pages);
  try {
    for (std::size_t i = 0; i < growth.sequences.size(); ++i) {
      CacheSequence& sequence = *impl.find(growth.sequences[i]);
      const auto blocks =
          static_cast<std::size_t>(kv::blocks_of(sequence.length + growth.tokens(i)));
      if (blocks > sequence.table.capacity()) sequence.table.reserve(2 * blocks);
    }
  } catch (const std::exception&) {
    return {StatusCode::kOutOfMemory, "no host memory for the block tables"};
  }
  return {};
}

// Takes the pages for `tokens` more tokens of a sequence; `taken` is called with each block and its
// page. Room in the table and free pages were checked.
template <class Taken>
void take_pages(CudaKvCache::Impl& impl, SequenceId id, std::int64_t tokens, Taken taken) {
  CacheSequence& sequence = *impl.find(id);
  const auto blocks = static_cast<std::size_t>(kv::blocks_of(sequence.length + tokens));
  while (sequence.table.size() < blocks) {
    const std::int32_t page = impl.pages.acquire();
    sequence.table.push_back(page);
    taken(static_cast<std::int32_t>(sequence.table.size() - 1), page);
  }
}

// After all was enqueued: the host's lengths grow. Where something failed, pages go back instead,
// in the order opposite to that in which they were taken.
Status settle(CudaKvCache::Impl& impl, const Growth& growth, const Status& status) {
  for (std::size_t i = growth.sequences.size(); i-- > 0;) {
    CacheSequence& sequence = *impl.find(growth.sequences[i]);
    if (status.ok()) {
      sequence.length += growth.tokens(i);
      continue;
    }
    while (sequence.table.size() > sequence.kept_pages) {
      impl.pages.release(sequence.table.back());
      sequence.table.pop_back();
    }
  }
  return status;
}

// Collects entries of block tables and enqueues them in as few kernels as hold them.
class PageUploader {
 public:
  PageUploader(const CudaKvCache::Impl& impl, cudaStream_t stream)
      : max_blocks_(impl.max_blocks), stream_(stream) {
    upload_.block_table = impl.block_table.data();
  }

  void add(SequenceId sequence, std::int32_t block, std::int32_t page) {
    const auto index = static_cast<std::int32_t>(sequence * max_blocks_ + block);
    upload_.pages[upload_.count++] = {index, page};
    if (upload_.count == cuda::kPageUploads) launch();
  }
  Status finish() {
    if (upload_.count > 0) launch();
    return to_status(error_, "writing block tables");
  }

 private:
  void launch() {
    if (error_ == cudaSuccess) error_ = cuda::launch_page_upload(upload_, stream_);
    upload_.count = 0;
  }

  std::int64_t max_blocks_;
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
  cuda::PageUpload upload_;
};

// Collects the sequences that get tokens and enqueues up to kAppendEntries at a time.
class AppendLauncher {
 public:
  AppendLauncher(AppendArgs args, bool is_long, cudaStream_t stream)
      : args_(args), is_long_(is_long), stream_(stream) {}

  // `entry` lacks its first piece.
  void add(AppendEntry entry, std::int64_t tokens) {
    if (tokens == 0) return;
    entry.first_piece = end_.first_piece;
    end_.first_piece += static_cast<std::int32_t>(cuda::append_pieces(tokens));
    end_.begin = entry.begin + static_cast<std::int32_t>(tokens);
    args_.entries[args_.count++] = entry;
    if (args_.count == cuda::kAppendEntries) launch();
  }
  Status finish() {
    if (args_.count > 0) launch();
    return to_status(error_, "append");
  }

 private:
  void launch() {
    args_.entries[args_.count] = end_;
    if (error_ == cudaSuccess) {
      error_ = is_long_ ? cuda::launch_long_append(args_, stream_)
                        : cuda::launch_short_append(args_, stream_);
    }
    args_.count = 0;
    end_ = {};
  }

  AppendArgs args_;
  bool is_long_;
  cudaStream_t stream_;
  AppendEntry end_;
  cudaError_t error_ = cudaSuccess;
};

struct AppendCall {
  Growth growth;
  bool takes_pages = true;  // false while the stream is captured
  const std::function<Status()>& attend;
  cudaStream_t stream = nullptr;
};

// New pages travel with a short append and ahead of a long one.
Status enqueue_append(CudaKvCache::Impl& impl, const AppendCall& call, const AppendArgs& args) {
  const Growth& growth = call.growth;
  bool is_long = false;
  for (std::size_t i = 0; i < growth.sequences.size(); ++i) {
    is_long = is_long || growth.tokens(i) > cuda::kShortAppendTokens;
  }
  PageUploader uploader(impl, call.stream);
  for (std::size_t i = 0; i < growth.sequences.size(); ++i) {
    const SequenceId id = growth.sequences[i];
    NewPage& new_page = impl.find(id)->new_page;
    new_page = {};
    if (!call.takes_pages) continue;
    take_pages(impl, id, growth.tokens(i), [&](std::int32_t block, std::int32_t page) {
      new_page = {block, page};
      if (is_long) uploader.add(id, block, page);
    });
  }
  if (Status status = uploader.finish(); !status.ok()) return status;
  if (call.attend) return call.attend();
  AppendLauncher launcher(args, is_long, call.stream);
  for (std::size_t i = 0; i < growth.sequences.size(); ++i) {
    const SequenceId id = growth.sequences[i];
    launcher.add({.sequence = id,
                  .begin = static_cast<std::int32_t>(growth.offsets[i]),
                  .new_page = impl.find(id)->new_page},
                 growth.tokens(i));
  }
  return launcher.finish();
}

Status check_tensors(const CudaKvCache::Impl& impl, const ConstTensorView& k,
                     const ConstTensorView& v) {
  Status status = kv::check_views(impl.config.kv_heads, impl.config.head_dim, k, v);
  if (!status.ok()) return status;
  if (k.tokens > std::numeric_limits<std::int32_t>::max() / 2) {
    return invalid_argument("k: " + std::to_string(k.tokens) +
                            " tokens in one append; at most 2^30");
  }
  if (Status s = check_alignment(k, "k"); !s.ok()) return s;
  return check_alignment(v, "v");
}

}  // namespace

Status cuda::append(CudaKvCache::Impl& impl, const AppendRequest& request, CudaStream stream) {
  const auto& [sequences, offsets, k, v, attend] = request;
  if (Status s = check_tensors(impl, k, v); !s.ok()) return s;
  if (Status s = kv::check_offsets(sequences.size(), offsets, k.tokens); !s.ok()) return s;
  const DeviceScope scope(impl.config.device);
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  bool capturing = false;
  if (Status s = is_capturing(handle, capturing); !s.ok()) return s;

  const AppendCall call{{sequences, offsets}, !capturing, attend, handle};
  // What a graph appends is counted by reserve(), once for each replay.
  const Growth counted = capturing ? Growth{sequences, {}, 0} : call.growth;
  if (Status s = check_growth(impl, counted); !s.ok()) return s;
  AppendArgs args;
  args.view = impl.view();
  args.k = k;
  args.v = v;
  args.numerics = impl.config.numerics;
  args.bad_keys = impl.bad_keys.data();
  args.queue = impl.queue.data();
  return settle(impl, counted, enqueue_append(impl, call, args));
}

Status CudaKvCache::append(std::span<const SequenceId> sequences,
                           std::span<const std::int64_t> offsets, const ConstTensorView& k,
                           const ConstTensorView& v, CudaStream stream) {
  return cuda::append(*impl_, {sequences, offsets, k, v}, stream);
}

Status CudaKvCache::append(SequenceId sequence, const ConstTensorView& k, const ConstTensorView& v,
                           CudaStream stream) {
  const std::int64_t offsets[] = {0, k.tokens};
  return append(std::span(&sequence, 1), offsets, k, v, stream);
}

Status CudaKvCache::reserve(std::span<const SequenceId> sequences, std::int64_t tokens,
                            CudaStream stream) {
  Impl& impl = *impl_;
  if (tokens < 0 || tokens > impl.config.max_tokens) {
    return invalid_argument("reserve: " + std::to_string(tokens) + " tokens; max_tokens is " +
                            std::to_string(impl.config.max_tokens));
  }
  const DeviceScope scope(impl.config.device);
  const auto handle = static_cast<cudaStream_t>(stream.handle);
  bool capturing = false;
  if (Status s = is_capturing(handle, capturing); !s.ok()) return s;
  if (capturing) return invalid_argument("reserve: the stream is being captured");
  const Growth growth{sequences, {}, tokens};
  if (Status s = check_growth(impl, growth); !s.ok()) return s;
  PageUploader uploader(impl, handle);
  for (const SequenceId id : sequences) {
    take_pages(impl, id, tokens,
               [&](std::int32_t block, std::int32_t page) { uploader.add(id, block, page); });
  }
  return settle(impl, growth, uploader.finish());
}

}  // namespace thriftattn
