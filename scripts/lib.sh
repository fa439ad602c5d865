# shellcheck shell=bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# What quickstart.sh and test.sh share: packages, configure, build. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

# Debian packages: to build everything, to run the evaluation, to check the house rules.
readonly build_packages=(build-essential ca-certificates ccache cmake libcli11-dev libfmt-dev
  libgmock-dev libgtest-dev ninja-build nlohmann-json3-dev pkg-config python3 python3-pip)
readonly eval_packages=(bible-kjv)
readonly check_packages=(clang-format)

step() { echo "==> $*"; }

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

usage_error() {
  echo "$(basename "$0"): $*; see --help" >&2
  exit 2
}

# installed PACKAGE: whether dpkg has it.
installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# ensure_packages PACKAGE...: installs what is missing; asks apt for nothing where all are there.
ensure_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "$(basename "$0"): not a Debian system, using the tools that are there; wanted: $*" >&2
    return
  fi
  local missing=() package
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "packages are missing and this is neither root nor has sudo; install: ${missing[*]}"
    as_root=(sudo)
  fi
  step "install packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}

# use_ccache: every compiler call of this run goes through ccache where it is installed. nvcc does so
# by its list of headers: its preprocessor shows one architecture of several only.
use_ccache() {
  if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
    export CMAKE_CUDA_COMPILER_LAUNCHER="env;CCACHE_DEPEND=1;ccache"
  fi
}

# configure PRESET [ARGUMENT...]: CMake into build/PRESET. THRIFTATTN_LLAMA_SOURCE in the environment
# names a llama.cpp tree to use in place of the pinned one.
configure() {
  local preset=$1
  shift
  if [ -n "${THRIFTATTN_LLAMA_SOURCE:-}" ]; then
    set -- "-DTHRIFTATTN_LLAMA_SOURCE=$THRIFTATTN_LLAMA_SOURCE" "$@"
  fi
  step "configure build/$preset"
  (cd "$root" && cmake --preset "$preset" --log-level=WARNING "$@") || die "cmake failed"
}

# with_cuda PRESET: whether build/PRESET was configured with the CUDA backend.
with_cuda() {
  grep -q '^THRIFTATTN_CUDA:BOOL=ON$' "$root/build/$1/CMakeCache.txt"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  step "build build/$preset ${*:-everything}"
  cmake --build "$root/build/$preset" --parallel "$(nproc)" ${1:+--target "$@"} ||
    die "the build of build/$preset failed"
}
