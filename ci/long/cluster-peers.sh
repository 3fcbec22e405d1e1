#!/usr/bin/env bash
# Measures everything that docs/cluster.md shows of speed once, in a small form, with celery, rq and dask if pip can bring them.
# Its figures mean nothing here; that each case comes to its end with each of them is what is held.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

if ! command -v redis-server valkey-server >/dev/null; then
    skip "cluster-peers: neither redis-server nor valkey-server is here, so nothing was measured"
    exit 0
fi
python=$(benches/cluster-peers/python.sh | tail -n 1) || python=
cargo test --quiet --package cluster-peers
out=$target_dir/ci/cluster-peers
mkdir -p "$(dirname "$out")"
if [ -n "$python" ]; then
    cargo run --quiet --release --package cluster-peers -- --quick --rounds 1 --python "$python" | tee "$out"
    if grep -q 'not measured' "$out"; then
        echo "something was not measured" >&2
        exit 1
    fi
else
    skip "cluster-peers: no celery, rq and dask (Python 3 with venv and a package registry are needed): only our own were measured"
    cargo run --quiet --release --package cluster-peers -- --quick --rounds 1 --ours | tee "$out"
fi
grep -q '^| a MiB there and back / bare echo | [0-9]' "$out"
