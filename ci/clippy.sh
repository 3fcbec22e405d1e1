#!/usr/bin/env bash
# Clippy finds nothing, in any target, with every feature on.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# -D warnings after `--`: as RUSTFLAGS it would rebuild every dependency.
cargo clippy --package concurrent-futures --lib --all-features -- -D warnings

# -A: the lints on printing and unwrap are meant for the library (checked above, with them). Examples print, and a
# failed unwrap is how a test fails.
cargo clippy --workspace --all-targets --all-features -- -D warnings \
    -A clippy::print_stdout -A clippy::print_stderr -A clippy::unwrap_used
