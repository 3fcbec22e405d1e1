#!/usr/bin/env bash
# Every loom model, with larger bounds than a plain `cargo test` has time for.
#
# ci/long/loom.sh [preemptions] [models whose name contains this]
#
# Without arguments two preemptions, or one for the models that aren't through with two in half an hour: under ten
# minutes for all. Release: models run millions of steps. One line a model says how many runs there were. A model that is
# not through after LOOM_TIME_LIMIT seconds counts as failed.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
: "${LOOM_TIME_LIMIT:=3600}"
export LOOM_TIME_LIMIT

explore() { LOOM_MAX_PREEMPTIONS="$1" cargo test --release -p loom-models -- --nocapture "${@:2}"; }

if [ $# -gt 0 ]; then
    explore "$1" "${2:-}"
else
    large=ramp_up_to_three_workers
    explore 2 --skip "$large"
    explore 1 "$large"
fi
