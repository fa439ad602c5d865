#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The thriftattn authors
# SPDX-License-Identifier: Apache-2.0
# Fetches pinned cuobjdump and nvdisasm (5 MB, NVIDIA's wheels) for scripts/check_sass.py, where the toolkit has
# none. The two then lie together in DESTINATION.
# usage: scripts/fetch_cuobjdump.sh DESTINATION
set -euo pipefail

readonly version=13.5.37
readonly destination=${1:?usage: scripts/fetch_cuobjdump.sh DESTINATION}

if [ -x "$destination/cuobjdump" ] && [ -x "$destination/nvdisasm" ]; then
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/requirements.txt" <<REQUIREMENTS
nvidia-cuda-cuobjdump==$version --hash=sha256:38780fee50863252a0b8926357faa91615ca1c8346490563f33a06100cd73f58
nvidia-cuda-nvdisasm==$version --hash=sha256:d3fdbdd49fa53e2e4aacd3db8259d052bd2b049ececdcb69e92e083c6728e7ca
REQUIREMENTS
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
  --only-binary :all: --require-hashes --target "$work/site" --requirement "$work/requirements.txt" ||
  { echo "fetch_cuobjdump: pip could not install cuobjdump $version" >&2; exit 1; }
mkdir -p "$destination"
mv "$work/site/nvidia/cu13/bin/cuobjdump" "$work/site/nvidia/cu13/bin/nvdisasm" "$destination/"
