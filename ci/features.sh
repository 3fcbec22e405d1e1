#!/usr/bin/env bash
# The library compiles without warnings without any of its features, with each alone, with all but each, and with all: so
# whatever three of them do together, on or off, is seen.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# The sets come from Cargo.toml itself, so that a new feature is covered the day it appears.
sets=$(metadata features concurrent-futures)
while read -r set; do
    echo "features: ${set:-none}"
    # --lib only: dev-dependencies switch on features of shared crates and would hide a missing one.
    cargo clippy --quiet --package concurrent-futures --lib --no-default-features --features "$set" -- -D warnings
done <<<"$sets"
