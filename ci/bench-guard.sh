#!/usr/bin/env bash
# The hot paths take no more instructions than benches/guard/counts.csv says; `ci/bench-guard.sh --update` rewrites that
# file. docs/benchmarks.md explains it.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# Other processors have other instructions.
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    skip "bench-guard: the numbers are of Linux on x86_64, so no instruction was counted on $(uname -sm)"
    exit 0
fi

if ! command -v valgrind >/dev/null; then
    echo "valgrind isn't installed: trying apt-get"
    # A fresh machine has no lists of packages yet.
    { apt-get install -y valgrind || { apt-get update && apt-get install -y valgrind; }; } || {
        echo "bench-guard: it needs valgrind: install it (as root: apt-get install -y valgrind) and run this again" >&2
        exit 1
    }
fi

# Flags of the user's own make other instructions: set, this stands before all other places for flags. Every task counts as
# short, however slow valgrind makes it.
export CARGO_ENCODED_RUSTFLAGS=--cfg=concurrent_futures_counts
program=$(built build --profile counts --package guard)
"$program" "$@"
