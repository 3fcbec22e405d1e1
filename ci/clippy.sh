#!/usr/bin/env bash
# Clippy finds nothing, in any target, with every feature on.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# -D warnings after `--`: as RUSTFLAGS it would rebuild every dependency.
cargo clippy --workspace --all-targets --all-features -- -D warnings
