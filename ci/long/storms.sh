#!/usr/bin/env bash
# The storms of examples/soak at full size: no impossible state, and nothing left behind.
#
# ci/long/storms.sh [deaths | kills | threads | weather | xrays ...]      all without arguments
#
# Under ten minutes for all on 2 cores. `ci/long/soak.sh` runs them all at once, for as long as you like.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
storms=("$@")
[ $# -gt 0 ] || storms=(deaths kills threads weather xrays)
program=$(built build --quiet --release --example soak)
for storm in "${storms[@]}"; do
    # A hang is a failure too.
    timeout 900 "$program" --storm "$storm" || {
        status=$?
        [ $status -ne 124 ] || echo "$storm hangs" >&2
        exit "$status"
    }
done
