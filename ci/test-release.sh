#!/usr/bin/env bash
# The tests of behaviour once more, as the optimiser leaves them: races and stack depths differ from debug.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# Not the models (ci/long/loom.sh has them in release), nor what reads sources or runs the examples.
cargo test --release --package concurrent-futures --lib --test it
cargo test --release --package face-tests --test programs_threads
