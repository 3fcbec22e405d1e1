#!/usr/bin/env bash
# The protocols under the model checker, deeper than `cargo test` goes.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# How often a thread may be interrupted at a place of the model's choice: each step up multiplies the time.
# --release: the search is all computing.
LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-3} cargo test --release --package loom-models
