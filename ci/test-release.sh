#!/usr/bin/env bash
# The same tests as the optimiser leaves them: races and stack depths differ from debug.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# --lib --tests: examples run in ci/examples.sh, doctests in ci/docs.sh; building them a second time holds nothing new.
cargo test --release --lib --tests
