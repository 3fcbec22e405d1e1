#!/usr/bin/env bash
# Clippy finds nothing, in any target, with every feature on. That includes items of the standard library that the stated Rust
# version hasn't got (clippy::incompatible_msrv).
set -euo pipefail
source "$(dirname "$0")/common.sh"

# -D warnings after `--`: as RUSTFLAGS it would rebuild every dependency.
# tests/systems and tests/delays are the same sources once more, under other manifests: the lib with delays has some of its own.
cargo clippy --workspace --exclude system-tests --exclude delayed-tests --all-targets --all-features -- -D warnings
cargo clippy --package delayed-tests --lib -- -D warnings
