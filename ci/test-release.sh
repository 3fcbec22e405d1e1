#!/usr/bin/env bash
# Tests once more, as the optimiser leaves them: races and stack depths differ from debug.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# The unit tests and whole programs; `ci/long/release.sh` has all behaviour, which takes the optimiser minutes.
cargo test --release --package concurrent-futures --lib
cargo test --release --package face-tests --test programs_threads --test programs_processes
