#!/usr/bin/env bash
# Every fault at every stage of a worker's life, over and over; then 2000 random SIGKILLs, and values of 256 MiB.
#
# ci/long/faults.sh [times] [tests whose name contains this]
#
# Ends at the first run that isn't green. About half a minute a run.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
times="${1:-50}"
filter="${2:-}"
program=$(built test --no-run --test crash)
for run in $(seq "$times"); do
    echo "run $run of $times"
    RUST_BACKTRACE=0 "$program" --quiet "$filter"
done
CRASH_SCALE=20 "$program" --nocapture random_kills values_of_every_size
