#!/usr/bin/env bash
# The README's own test command, word for word, so that what a newcomer runs is checked.
set -euo pipefail
source "$(dirname "$0")/common.sh"

grep -qx 'cargo test' README.md || {
    echo "README.md no longer has the line \`cargo test\`: change ci/test.sh with it" >&2
    exit 1
}
cargo test

# The checks' and benches' own programs have tests too.
cargo test --quiet --package ci-metadata --package ci-mutants --package guard --package peers
