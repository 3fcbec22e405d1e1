#!/usr/bin/env bash
# The behaviour tests and the whole programs in a release build, where races and stack depths differ from debug.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

cargo test --release --package concurrent-futures --lib --test it --test crash
cargo test --release --package face-tests --test programs_threads --test programs_processes
