#!/usr/bin/env bash
# Every loom model, with larger bounds than a plain `cargo test` has time for.
#
# ci/long/loom.sh [preemptions] [models whose name contains this]
#
# Release: models run millions of steps. One line a model says how many runs there were. A model that is not through
# after LOOM_TIME_LIMIT seconds counts as failed.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
: "${LOOM_TIME_LIMIT:=3600}"
export LOOM_TIME_LIMIT
export LOOM_MAX_PREEMPTIONS="${1:-2}"
exec cargo test --release -p loom-models -- --nocapture "${2:-}"
