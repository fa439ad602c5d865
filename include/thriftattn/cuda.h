// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// The cache and the call on a CUDA device: the definition of attention.h, one kernel a decode step.
//
// Link thriftattn::cuda. Work is enqueued on the caller's stream; append and attend neither
// allocate device memory nor wait, and may be captured into a CUDA graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "thriftattn/attention.h"
#include "thriftattn/formats.h"
#include "thriftattn/kv_cache.h"
#include "thriftattn/selection.h"
#include "thriftattn/status.h"
#include "thriftattn/tensor.h"

namespace thriftattn {

// A cudaStream_t; nullptr = the legacy default stream.
struct CudaStream {
  void* handle = nullptr;
};

struct CudaDevice {
  std::string name;
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  std::int64_t memory_bytes = 0;
  bool supported = false;  // this build has kernels for it
};

// kUnsupported where the build has no CUDA or the machine no driver: the message says which.
Result<std::vector<CudaDevice>> list_cuda_devices();

// Where the high tier of sealed blocks lives: rows, or residuals where it is nested. On the host
// only promoted blocks cross the bus.
enum class Residence : std::uint8_t { kDevice, kPinnedHost };

struct CudaKvCacheConfig {
  int device = 0;
  int kv_heads = 0;
  int head_dim = 0;                  // 64, 128 or 256
  std::int64_t pages = 0;            // capacity of the pool; a page is one block of every kv head
  int max_sequences = 256;           // live at once
  std::int64_t max_tokens = 131072;  // of one sequence
  Numerics numerics = {};
  bool channel_bounds = false;  // needed by policy quest
  // Nested, pages hold tiles and residuals, and each of max_sequences has the rows of one open
  // block.
  HighTier high_tier = HighTier::kRows16;
  Residence residence = Residence::kDevice;
};

// The KV cache of one layer on a device. The same pages, sequences and sealed values as a
// PagedKvCache that was given the same appends.
class CudaKvCache {
 public:
  static Result<CudaKvCache> create(const CudaKvCacheConfig& config);
  CudaKvCache(CudaKvCache&&) noexcept;
  CudaKvCache& operator=(CudaKvCache&&) noexcept;
  ~CudaKvCache();

  [[nodiscard]] const CudaKvCacheConfig& config() const;

  Result<SequenceId> add_sequence();
  // Gives the sequence's pages back. Work enqueued before must have been given to the same stream
  // as what follows, or be done.
  Status free_sequence(SequenceId sequence, CudaStream stream = {});

  // As PagedKvCache::append, with k and v in device memory, F16, BF16 or F32, stored as F16. What
  // the host can check is checked at once. Values are checked on the device: where one of a
  // sequence's rows is not finite or beyond F16, nothing of this call is appended to that sequence
  // and synchronize() says which value it was. Captured into a graph, each replay appends again, to
  // where the sequences then end: call reserve() before a replay.
  Status append(std::span<const SequenceId> sequences, std::span<const std::int64_t> offsets,
                const ConstTensorView& k, const ConstTensorView& v, CudaStream stream);
  Status append(SequenceId sequence, const ConstTensorView& k, const ConstTensorView& v,
                CudaStream stream);

  // Makes room for `tokens` more tokens of each sequence, and for replays of a captured append
  // counts them as appended. Fails without a change where pages are short.
  Status reserve(std::span<const SequenceId> sequences, std::int64_t tokens, CudaStream stream);

  // Waits for the stream. Fails where an append since the last call refused a value: the message
  // names it, and lengths are then what the device holds.
  Status synchronize(CudaStream stream);

  [[nodiscard]] Result<std::int64_t> length(SequenceId sequence) const;  // tokens
  [[nodiscard]] std::int64_t free_pages() const;
  [[nodiscard]] std::span<const std::int32_t> block_table(SequenceId sequence) const;
  // Device memory of both tiers and their tables.
  [[nodiscard]] std::int64_t device_bytes() const;

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  explicit CudaKvCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What one decode step leaves for the next: for each sequence and kv head the promoted sets, the
// lse of each row and the tail's threshold. With it a step reads every block once; without it the
// blocks are scored first. Belongs to the sequences of one cache.
class CudaAttendState {
 public:
  // q_heads: of the calls that use it.
  static Result<CudaAttendState> create(const CudaKvCache& cache, int q_heads);
  CudaAttendState(CudaAttendState&&) noexcept;
  CudaAttendState& operator=(CudaAttendState&&) noexcept;
  ~CudaAttendState();

  // The next call of this sequence starts from scratch.
  Status reset(SequenceId sequence, CudaStream stream);

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  explicit CudaAttendState(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Memory of calls up to a size. One call at a time may use it, or calls of one stream.
class CudaAttendPlan {
 public:
  static Result<CudaAttendPlan> create(const CudaKvCache& cache, int q_heads, int max_sequences,
                                       int max_q_len);
  CudaAttendPlan(CudaAttendPlan&&) noexcept;
  CudaAttendPlan& operator=(CudaAttendPlan&&) noexcept;
  ~CudaAttendPlan();

  [[nodiscard]] std::int64_t device_bytes() const;

  struct Impl;
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  explicit CudaAttendPlan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct CudaAttendParams {
  // Device [tokens, q_heads, head_dim], F16 or BF16; rows begin at multiples of 16 bytes.
  ConstTensorView q;
  TensorView out;        // device [tokens, q_heads, head_dim], F32, F16 or BF16
  float* lse = nullptr;  // device [tokens, q_heads], natural log; nullptr = not written
  std::span<const SequenceId> sequences = {};
  std::span<const std::int64_t> q_offsets = {};  // [sequences + 1]; up to 16 rows a sequence
  // Units are one kv head of one sequence: its rows of a call choose together. Budgets: kFraction,
  // kCount and kAll. `unit` and `seed` are not used; policies: kFp4Mass, kBlockMean and kQuest.
  Selection selection;
  float softmax_scale = 0.0f;  // 0 means 1 / sqrt(head_dim)
  // Sequences shorter than this are computed in the high tier: thriftattn::crossover_tokens().
  std::int64_t crossover_tokens = 0;
  CudaAttendState* state = nullptr;  // read and written; nullptr = from scratch
  // false: the state's sets are used and kept. Sets that are a few steps old select almost as well,
  // and choosing them takes a kernel. A sequence's first call always chooses.
  bool refresh = true;
  // With a state the tail is told apart while the step runs. Where that takes longer than what it
  // saves, in short shares of work, tau counts as 0. true: never.
  bool tail_always = false;
};

// The length in tokens below which a step of `sequences` sequences of about that length is faster
// all in 16 bit than with blocks chosen: for CudaAttendParams::crossover_tokens. On an H200 that is
// where their K and V in 16 bit are 60 MB (45 to 78 by head_dim and batch, between the lengths of
// docs/results/h200_decode.md). 0 where the high tier is nested or not on the device, and for less
// than one sequence.
std::int64_t crossover_tokens(const CudaKvCacheConfig& config, std::int64_t sequences);

// Causal attention of the last tokens of each sequence, as attention.h defines it.
Status attend(const CudaAttendParams& params, const CudaKvCache& cache, CudaAttendPlan& plan,
              CudaStream stream);

// append of the tokens that q belongs to, k and v [tokens of q, kv_heads, head_dim], and attend:
// what the two calls would give, but both are checked before either is enqueued. Attend does not
// wait for the append, and the token is added to its results as it is appended, as one more key
// whose weight is not rounded, where
// - every sequence has one token or none, and those that have one were in the state's last call, or
//   all of the call is computed in the high tier;
// - k and v are F16 or BF16, rows begin at multiples of 4 bytes, and out and lse lie elsewhere, as
//   they do to q.
// Else the append comes first. In a nested cache a block that such a token fills is still read as
// its 16-bit rows. Where the device refuses a sequence's values (CudaKvCache::append) its out and
// lse are not specified, and its next step may read all of it in the high tier; where a replay
// finds no page it attends to what is there, in the tiers of a sequence one token longer. The
// report counts the token's block as read.
Status append_and_attend(const CudaAttendParams& params, const ConstTensorView& k,
                         const ConstTensorView& v, CudaKvCache& cache, CudaAttendPlan& plan,
                         CudaStream stream);

// Waits for the stream and tells what the last attend of this plan did, in the units of
// attention.h: a trace in order of (sequence, kv head), and the sums over it.
Status report(const CudaAttendPlan& plan, CudaStream stream, AttendReport* report,
              AttendTrace* trace);

}  // namespace thriftattn
