#!/bin/sh
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Builds and runs one consumer of the library in a folder of its own.
# usage: run_consumer.sh KIND SOURCE_DIR PREFIX WORK_DIR
set -eu

kind=$1 source=$2 prefix=$3 work=$4
here=$source/tests/install
rm -rf "$work"
mkdir -p "$work"

# cmake_consumer ARGUMENT...: the CMake project, told where the library is.
cmake_consumer() {
  cmake -S "$here/cmake_consumer" -B "$work/build" -DCMAKE_BUILD_TYPE=Release "$@"
  cmake --build "$work/build" --parallel 2
  "$work/build/consumer"
  "$work/build/c_consumer"
}

# pc ARGUMENT...: pkg-config on the installed prefix, which may have any library directory.
pc() {
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name thriftattn.pc)") pkg-config "$@" thriftattn
}

case $kind in
  find_package) cmake_consumer -DCMAKE_PREFIX_PATH="$prefix" ;;
  moved)
    cp -R "$prefix" "$work/elsewhere"
    prefix=$work/elsewhere
    cmake_consumer -DCMAKE_PREFIX_PATH="$prefix"
    [ "$(pc --variable=libdir | xargs realpath)" = "$(dirname "$(find "$prefix" -name '*.a')")" ]
    ;;
  add_subdirectory) cmake_consumer -DTHRIFTATTN_SOURCE="$source" ;;
  pkg_config | c_pkg_config)
    command -v pkg-config >/dev/null || exit 77
    # shellcheck disable=SC2046  # flags are words
    if [ "$kind" = pkg_config ]; then
      ${CXX:-c++} -std=c++20 "$here/consumer.cc" $(pc --cflags --libs) -o "$work/consumer"
    else
      ${CC:-cc} -std=c99 "$here/c_consumer.c" $(pc --cflags --libs --static) -o "$work/consumer"
    fi
    "$work/consumer"
    ;;
  *)
    echo "run_consumer.sh: unknown kind '$kind'" >&2
    exit 2
    ;;
esac
