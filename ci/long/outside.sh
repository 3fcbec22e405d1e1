#!/usr/bin/env bash
# Every fault of tests/outside, the long ones included, in three builds: the one of `cargo test`, an optimised one, and
# one with link-time optimisation over all crates and panics that abort, where a panic in the parent itself ends the
# program, as its author chose.
#   ci/long/outside.sh             all builds, all faults
#   ci/long/outside.sh a_counting  those whose name contains this
set -euo pipefail
source "$(dirname "$0")/../common.sh"

filter=${1:-}

run() {
    echo "outside: $1"
    OUTSIDE_PROGRAM=${2:-} OUTSIDE_PANIC=${3:-unwind} \
        cargo test --quiet --package outside --test outside -- --include-ignored ${filter:+"$filter"}
}

run "as cargo test builds it"

cargo build --quiet --release --package outside
run "optimised" "$(built build --quiet --release --package outside --bin outside)"

cargo build --quiet --profile outside-abort --package outside
run "link-time optimisation, aborting panics" \
    "$(built build --quiet --profile outside-abort --package outside --bin outside)" abort
