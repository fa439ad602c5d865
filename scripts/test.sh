#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage() {
  cat <<'HELP'
usage: scripts/test.sh [--quick | --full]

Installs the Debian packages that are missing, builds with warnings as errors and runs the tests:
all of the release build, the core again with each instruction set forced, and the core with the
address and undefined-behaviour sanitizers.

  --quick  the inner loop: the core's tests and the house rules in build/core, no llama.cpp
  --full   the long tests too, and the core with the thread sanitizer
  --help   this text
HELP
}

mode=default
for argument in "$@"; do
  case $argument in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) usage_error "unknown option '$argument'" ;;
  esac
done

passed=0
failed=0
skipped=0
failed_runs=()

# run_tests NAME BUILD [CTEST ARGUMENT...]: one ctest run, added to the totals.
run_tests() {
  local name=$1 directory=$root/build/$2 status=0 log summary total bad left_out
  shift 2
  step "test $name"
  log=$directory/test-$name.log
  ctest --test-dir "$directory" --output-on-failure --no-tests=error -j "$(nproc)" -O "$log" "$@" ||
    status=$?
  summary=$(grep -o '[0-9]* tests failed out of [0-9]*' "$log" | tail -n 1) || true
  bad=${summary%% *}
  total=${summary##* }
  if [ -z "$summary" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
    bad=1 total=1
  fi
  left_out=$(grep -c '(Skipped)$\|(Disabled)$' "$log") || true
  passed=$((passed + total - bad - left_out))
  failed=$((failed + bad))
  skipped=$((skipped + left_out))
  [ "$bad" -eq 0 ] || failed_runs+=("$name")
}

use_packages() {
  ensure_packages "${build_packages[@]}" "${check_packages[@]}" "$@"
  use_ccache
}

# configure_with_cuda PRESET: where CMake finds nvcc the CUDA backend is built for all its architectures,
# and its machine code is checked.
configure_with_cuda() {
  configure "$1" -DTHRIFTATTN_WERROR=ON
  if ! with_cuda "$1"; then
    step "skip CUDA: no nvcc 13, so thriftattn::cuda is not compiled"
  elif ! command -v cuobjdump >/dev/null; then
    "$root/scripts/fetch_cuobjdump.sh" "$root/build/tools" ||
      step "skip cuda.sass: no cuobjdump, so the kernels' machine code is not checked"
  fi
}

core_tests() {
  configure_with_cuda core
  build core
  run_tests core core --label-regex 'core|house'
}

release_tests() {
  step "get the model and the text"
  "$root/scripts/get_model.sh" smollm2 >/dev/null || die "no model"
  "$root/scripts/get_text.sh" genesis >/dev/null || die "no text"
  configure_with_cuda release
  build release
  if [ "$mode" = full ]; then
    run_tests release release
  else
    run_tests release release --label-exclude long
  fi
  local isa
  for isa in scalar avx2 avx512; do
    if "$root/build/release/bin/thriftattn" --version |
      grep -Eq "^isa +$isa +(in use|supported)$"; then
      THRIFTATTN_ISA=$isa run_tests "isa-$isa" release --label-regex core --label-exclude long
    else
      step "skip isa-$isa: not on this CPU"
    fi
  done
}

sanitizer_tests() {
  configure "$1" -DTHRIFTATTN_WERROR=ON
  build "$1"
  run_tests "$1" "$1" --label-regex core --label-exclude long
}

case $mode in
  quick)
    use_packages
    core_tests
    ;;
  *)
    use_packages "${eval_packages[@]}"
    release_tests
    sanitizer_tests asan
    [ "$mode" = default ] || sanitizer_tests tsan
    ;;
esac

[ "$failed" -eq 0 ] || step "failed in: ${failed_runs[*]} (build/*/test-NAME.log)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
