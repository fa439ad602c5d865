// SPDX-FileCopyrightText: 2026 The thriftattn authors
// SPDX-License-Identifier: Apache-2.0
// What every function of the C API needs: no exception out, a message per thread, structs of any
// age.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "thriftattn/c_api.h"
#include "thriftattn/status.h"

namespace thriftattn::c_api {

// Keeps the message of a failure for thriftattn_status_message and returns its code.
thriftattn_status report_status(const Status& status) noexcept;
// The same without allocating.
thriftattn_status report_out_of_memory() noexcept;

// Runs `body`, which returns a Status, as the body of a C function.
template <class Body>
thriftattn_status guarded(Body&& body) noexcept {
  try {
    return report_status(body());
  } catch (const std::bad_alloc&) {
    return report_out_of_memory();
  } catch (const std::exception& error) {
    try {
      return report_status({StatusCode::kInternal, std::string("unexpected: ") + error.what()});
    } catch (...) {
      return report_out_of_memory();
    }
  }
}

// Writes as much of `value` as a caller's struct of `struct_size` bytes holds.
template <class T>
void write_struct(T value, T* out, std::size_t struct_size) noexcept {
  if (out == nullptr) return;
  value.struct_size = struct_size;
  std::memcpy(out, &value, std::min(struct_size, sizeof(T)));
}

// Reads a caller's struct, which may be older and so shorter than T: the rest keeps what `defaults`
// holds. `minimum` is the size of the first version of the struct.
template <class T>
Status read_struct(const T* in, const char* name, std::size_t minimum, T* defaults) {
  if (in == nullptr) return invalid_argument(std::string(name) + " is NULL");
  if (in->struct_size < minimum || in->struct_size > sizeof(T)) {
    return invalid_argument(std::string(name) + ".struct_size " + std::to_string(in->struct_size) +
                            ": supported " + std::to_string(minimum) + " to " +
                            std::to_string(sizeof(T)) +
                            "; fill the struct with its _default function");
  }
  std::memcpy(defaults, in, in->struct_size);
  return {};
}

// Whether an enum's value came in range, as 0 .. count - 1.
inline Status check_enum(const char* name, std::int32_t value, std::int32_t count) {
  if (value >= 0 && value < count) return {};
  return invalid_argument(std::string(name) + " " + std::to_string(value) + ": supported 0 to " +
                          std::to_string(count - 1));
}

}  // namespace thriftattn::c_api
