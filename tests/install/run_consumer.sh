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
package=thriftattn
pc() {
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name thriftattn.pc)") pkg-config "$@" "$package"
}

case $kind in
  find_package) cmake_consumer -DCMAKE_PREFIX_PATH="$prefix" ;;
  find_package_cuda)
    cmake_consumer -DCMAKE_PREFIX_PATH="$prefix" -DWITH_CUDA=ON
    "$work/build/cuda_consumer"
    ;;
  moved)
    cp -R "$prefix" "$work/elsewhere"
    prefix=$work/elsewhere
    cmake_consumer -DCMAKE_PREFIX_PATH="$prefix"
    library=$(find "$prefix" -name libthriftattn.a)
    [ "$(pc --variable=libdir | xargs realpath)" = "$(dirname "$library")" ]
    ;;
  add_subdirectory) cmake_consumer -DTHRIFTATTN_SOURCE="$source" ;;
  *pkg_config*)
    command -v pkg-config >/dev/null || exit 77
    # shellcheck disable=SC2046  # flags are words
    case $kind in
      pkg_config) ${CXX:-c++} -std=c++20 "$here/consumer.cc" $(pc --cflags --libs) -o "$work/consumer" ;;
      c_pkg_config) ${CC:-cc} -std=c99 "$here/c_consumer.c" $(pc --cflags --libs --static) -o "$work/consumer" ;;
      pkg_config_cuda)
        package=thriftattn-cuda
        ${CXX:-c++} -std=c++20 "$here/cuda_consumer.cc" $(pc --cflags --libs) -o "$work/consumer"
        ;;
    esac
    "$work/consumer"
    ;;
  *)
    echo "run_consumer.sh: unknown kind '$kind'" >&2
    exit 2
    ;;
esac
