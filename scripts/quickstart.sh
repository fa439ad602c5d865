#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--full] [thriftattn eval options...]

Installs the Debian packages that are missing, builds, gets the model SmolLM2-135M and the book of
Genesis, and evaluates 16-bit attention, plain FP4, the published method and ours on them.
Prints the table and writes out/report.json and out/report.html.

  --full   8192 tokens of context in place of 4096
  --help   this text

Everything else is passed on, as in: scripts/quickstart.sh --ctx 2048 --phase prefill
HELP
}

context=4096
arguments=()
for argument in "$@"; do
  case $argument in
    --help | -h)
      usage
      exit 0
      ;;
    --full) context=8192 ;;
    *) arguments+=("$argument") ;;
  esac
done
# A context among the passed options wins over ours.
case " ${arguments[*]} " in
  *" --ctx"[=\ ]*) ;;
  *) arguments=(--ctx "$context" "${arguments[@]}") ;;
esac

ensure_packages "${build_packages[@]}" "${eval_packages[@]}"
use_ccache
configure release
build release thriftattn_cli ggml-thriftattn

step "get the model and the text"
model=$("$root/scripts/get_model.sh" smollm2) || die "no model"
text=$("$root/scripts/get_text.sh" genesis) || die "no text"

mkdir -p "$root/out"
step "thriftattn eval ${arguments[*]}"
"$root/build/release/bin/thriftattn" eval --model "$model" --text "$text" \
  --json "$root/out/report.json" --html "$root/out/report.html" "${arguments[@]}"
step "written: out/report.json out/report.html"
