#!/usr/bin/env bash
# A virtual environment with celery, rq and dask in the target folder, for `cargo run --release -p cluster-peers`.
# PEERS_PYTHON names another Python than the first of python3.14, python3.13, python3 that runs. The last line printed is the
# environment's Python.
set -euo pipefail
source "$(dirname "$0")/../../ci/common.sh"

for python in ${PEERS_PYTHON:-python3.14 python3.13 python3}; do
    if "$python" -c 'import venv' 2>/dev/null; then break; fi
    python=
done
[ -n "$python" ] || { echo "no Python 3 with venv found: set PEERS_PYTHON" >&2; exit 1; }

place=$target_dir/cluster-peers-python
"$python" -m venv "$place"
"$place/bin/python" -m pip install --quiet --disable-pip-version-check --requirement benches/cluster-peers/python/requirements.txt
echo "$place/bin/python"
