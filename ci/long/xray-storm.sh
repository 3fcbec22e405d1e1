#!/usr/bin/env bash
# 50 hostile folders, each with 40 drawings corrupted at random and many other bad files, resized by processes, threads and a
# loop: every file is resized or reported, once, and all three agree. Then the largest pictures that are accepted. Prints the
# counts and the memory.
#
# ci/long/xray-storm.sh [rounds]
#
# A few minutes, and the build.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
cargo build --release --example xray_resize
XRAY_STORM="${1:-50}" cargo test --release --test xray storm:: -- --nocapture
