#!/bin/sh
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# get_text.sh [BOOK] [DIR]: writes a book of the King James Bible, one verse a line without its number, and
# prints the path of the file. BOOK is genesis by default (about 200 KB); DIR is build/texts.
# The text is in the public domain and comes from the Debian package bible-kjv.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
book=${1:-genesis}
dir=${2:-$root/build/texts}
file=$dir/$book.txt

if [ ! -s "$file" ]; then
  if ! command -v bible >/dev/null 2>&1; then
    echo "get_text.sh: the bible program is missing; install it: apt-get install bible-kjv" >&2
    exit 1
  fi
  mkdir -p "$dir"
  part=$file.$$.part
  trap 'rm -f "$part"' EXIT
  # Chapters and verses beyond the last are taken as the last one.
  bible -f "${book}1:1-${book}150:999" </dev/null | sed -E 's/^[0-9A-Za-z]+:[0-9]+ //' >"$part"
  if [ ! -s "$part" ]; then
    echo "get_text.sh: bible has no book '$book'; genesis, exodus, isaiah, psalms and others are known" >&2
    exit 1
  fi
  mv "$part" "$file"
fi
echo "$(cd "$dir" && pwd)/$book.txt"
