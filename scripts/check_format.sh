#!/bin/sh
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Checks that clang-format 14 (Debian 12's) would change nothing; with --fix, lets it. Other versions
# format differently: exits with 77, which CTest counts as skipped.
set -eu

cd "$(dirname "$0")/.."
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
  echo "check_format.sh: clang-format 14 is not installed" >&2
  exit 77
fi
case ${1:-} in
  --fix) mode=-i ;;
  "") mode="--dry-run -Werror" ;;
  *)
    echo "usage: check_format.sh [--fix]" >&2
    exit 2
    ;;
esac
# shellcheck disable=SC2086  # mode is words
find include src tests tools plugins examples bench -name '*.h' -o -name '*.c' -o -name '*.cc' \
  -o -name '*.cu' -o -name '*.cuh' |
  xargs clang-format --style=file $mode
