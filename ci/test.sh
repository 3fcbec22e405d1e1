#!/usr/bin/env bash
# The README's own test command, word for word, so that what a newcomer runs is checked.
set -euo pipefail
source "$(dirname "$0")/common.sh"

grep -qx 'cargo test' README.md || {
    echo "README.md no longer has the line \`cargo test\`: change ci/test.sh with it" >&2
    exit 1
}
cargo test

# With every feature, so that the tests and the documentation's programs of each have run. A bare command switches on what the
# workspace's default members ask for together; tests/face asks for all.
features=$(cargo tree --invert concurrent-futures --depth 0 --format '{f}' | head -n 1 | sed 's/default,//')
[ "$features" = "$(metadata features concurrent-futures | tail -n 1)" ] || {
    echo "\`cargo test\` runs with the features $features and no others: add what is missing to tests/face/Cargo.toml" >&2
    exit 1
}
