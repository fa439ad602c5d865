// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// How every public call reports failure: a code and a message that says what, got, supported.
// No exception crosses the API, and the library never prints, aborts or exits.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace thriftattn {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument,  // the caller's mistake: shape, range, non-finite value
  kUnsupported,      // a valid wish that no kernel here fulfils
  kOutOfMemory,      // no free page, or no host memory
  kNotFound,         // an unknown sequence, file or name
  kInternal,         // a broken invariant of the library: please report it
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // success
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const { return code_ == StatusCode::kOk; }
  [[nodiscard]] StatusCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status invalid_argument(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}
inline Status unsupported(std::string message) {
  return {StatusCode::kUnsupported, std::move(message)};
}

// A value or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  [[nodiscard]] const Status& status() const { return status_; }
  // Only where ok().
  [[nodiscard]] T& value() { return *value_; }
  [[nodiscard]] const T& value() const { return *value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace thriftattn
