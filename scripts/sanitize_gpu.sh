#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage() {
  cat <<'HELP'
usage: scripts/sanitize_gpu.sh BIN_DIRECTORY

Runs compute-sanitizer's memcheck, initcheck, synccheck and racecheck over a reduced set of the GPU
tests in BIN_DIRECTORY (build/cuda/bin), in some 2 minutes on an H100. Says what each found in a
line; exits with 1 if one found something or a test failed, with 77 where there is no device.
HELP
}

case ${1:-} in
  --help | -h)
    usage
    exit 0
    ;;
  "" | -*)
    usage >&2
    exit 2
    ;;
esac
readonly bin=$1
for test in cuda_attend_test cuda_cache_test; do
  [ -x "$bin/$test" ] || usage_error "no $test in $bin; build the preset cuda"
done
tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
[ -x "$tool" ] || usage_error "compute-sanitizer is not installed; it comes with the CUDA toolkit"
if ! nvidia-smi >/dev/null 2>&1; then
  echo "skipped: no CUDA device"
  exit 77
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# check TOOL TEST FILTER
check() {
  local begin=$SECONDS result=clean
  "$tool" --tool "$1" --error-exitcode 9 --print-limit 5 "$bin/$2" --gtest_brief=1 \
    "--gtest_filter=$3" >"$log" 2>&1 || result=FAILED
  # A tool that did not attach, warnings, and a filter that meets no test are no proof.
  grep -qE 'ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards' "$log" || result=FAILED
  grep -qE 'PASSED +\] +[1-9]' "$log" || result=FAILED
  echo "$1, $2 $3: $result in $((SECONDS - begin)) s"
  [ "$result" = clean ] && return
  status=1
  grep -m 40 -E '^=========|FAILED|PASSED' "$log" || tail -n 5 "$log"
}

# Tokens behind attend, sets that are carried, clusters of attend, replays.
readonly appends='*AppendAndAttend.Refused*:*OutMay*'
readonly steps='*StepsWithAStateGive*:*ACaptured*'
for each in memcheck initcheck synccheck; do
  check "$each" cuda_attend_test "$appends:$steps:*AppendAndAttend.LargeGroups*:*Replays*"
done
check racecheck cuda_attend_test "$appends:*ACaptured*"
for each in memcheck racecheck; do
  check "$each" cuda_cache_test '*RaggedPieces*/128*:*AppendGraph.*'
done
exit $status
