#!/usr/bin/env bash
# A virtual environment with Pillow in the target folder, for `cargo run --release -p peers -- xray`: the X-ray case as in Python.
# PEERS_PYTHON names another Python than the first of python3.14, python3.13, python3 that runs.
set -euo pipefail
source "$(dirname "$0")/../../ci/common.sh"

for python in ${PEERS_PYTHON:-python3.14 python3.13 python3}; do
    if "$python" -c 'import venv' 2>/dev/null; then break; fi
    python=
done
[ -n "$python" ] || { echo "no Python 3 with venv found: set PEERS_PYTHON" >&2; exit 1; }

place=$target_dir/peers-pillow
"$python" -m venv "$place"
# The version whose pixels ours are compared with.
"$place/bin/python" -m pip install --quiet --disable-pip-version-check "pillow==13.0.0"
"$place/bin/python" -c 'import PIL, sys; print(f"CPython {sys.version.split()[0]}, Pillow {PIL.__version__}")'
