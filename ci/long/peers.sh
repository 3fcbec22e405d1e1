#!/usr/bin/env bash
# Measures everything in docs/performance.md once, in a small form, after the measuring program's own tests.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

cargo test --quiet --package peers

out=$target_dir/ci/page
rm -rf "$out"
# Its figures mean nothing here; that it comes to its end is what is held. --keep: away from readings that were taken in
# earnest.
cargo run --quiet --package peers -- page --quick --keep "$out/readings" --out "$out"
for plot in break-even chunks echo peers; do
    grep -q "</svg>" "$out/performance-$plot.svg"
done
# An empty block is one whose readings are missing.
if grep -A 1 -h '^<!-- generated: ' "$out"/*.md | grep -q '^<!-- end -->$'; then
    echo "a block of $out/*.md is empty" >&2
    exit 1
fi
# What is kept is enough to draw from, without a reading.
cargo run --quiet --package peers -- page --quick --reuse --keep "$out/readings" --out "$out"
