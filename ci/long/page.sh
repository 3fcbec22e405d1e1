#!/usr/bin/env bash
# The page protocol's model: every scope, and every rule taken away. The fast ones are in `cargo test` too.
#
# ci/long/page.sh [tests whose name contains this]
#
# Release: tens of millions of states, up to 3 GB at once. One line a search says how many states there were and what
# was found; a failure prints the steps that lead to it.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
exec cargo test --release -p page-model -- --include-ignored --nocapture --test-threads 1 "${1:-}"
