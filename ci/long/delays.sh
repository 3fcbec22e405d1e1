#!/usr/bin/env bash
# The suite over every executor, with random delays at every lock, atomic operation, wake-up and message, seed after seed.
#
# ci/long/delays.sh [first seed] [last seed] [tests whose name contains this]
#
# 100 seeds without arguments: under ten minutes. A thousand are ten such parts: 1 100, 101 200, ... Ends at the first run
# that isn't green, and says its seed; the same seed makes the same delays, though not the same run. What a delay can be
# is in src/sync/delayed.rs.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
first="${1:-1}"
last="${2:-$((first + 99))}"
filter="${3:-suite::}"
program=$(built test --no-run --package delayed-tests --test it)
logs=$target_dir/delays
mkdir -p "$logs"
# Hundreds of tests panic on purpose: looking up where takes longer than they do.
export RUST_BACKTRACE=0
cd tests/delays
for seed in $(seq "$first" "$last"); do
    log=$logs/$seed.log
    # Tests wait more than they work: more at a time than there are processors.
    if ! CONCURRENT_FUTURES_DELAYS=$seed "$program" --test-threads 8 "$filter" >"$log" 2>&1; then
        cat "$log"
        echo "seed $seed failed: CONCURRENT_FUTURES_DELAYS=$seed; its log is $log" >&2
        exit 1
    fi
    rm "$log"
done
echo "seeds $first to $last: green, $SECONDS s"
