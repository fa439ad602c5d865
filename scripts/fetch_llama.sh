#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Fetches the pinned llama.cpp source tree (it travels inside llama-cpp-python's source distribution).
# usage: scripts/fetch_llama.sh DESTINATION
set -euo pipefail

readonly version=0.3.36
readonly sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
readonly destination=${1:?usage: scripts/fetch_llama.sh DESTINATION}

if [ -f "$destination/CMakeLists.txt" ]; then
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$work" \
  "llama-cpp-python==$version" || { echo "fetch_llama: pip could not download llama-cpp-python $version" >&2; exit 1; }
archive=$work/llama_cpp_python-$version.tar.gz
echo "$sha256  $archive" | sha256sum --check --quiet || { echo "fetch_llama: $archive has another hash" >&2; exit 1; }
tar -xzf "$archive" -C "$work" "llama_cpp_python-$version/vendor/llama.cpp"
mkdir -p "$(dirname "$destination")"
rm -rf "$destination"
mv "$work/llama_cpp_python-$version/vendor/llama.cpp" "$destination"
