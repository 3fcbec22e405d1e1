#!/usr/bin/env bash
# Workers start in the kinds of program that `cargo test` doesn't build: an example, a criterion bench, under cargo-nextest,
# and with `concurrent_futures::init()` without the feature `auto-init`. ci/long/start.sh has the kinds of build
# (optimisation, linkers, static ones).
set -euo pipefail
source "$(dirname "$0")/common.sh"

# The output of panicking tasks is part of the check, and only noise here.
echo "example"
# Not by --package: for one alone cargo would choose other features, and build all anew.
[ "$(cargo run --quiet --example start 2>/dev/null)" = checked ]

# Without `--bench` criterion runs each once.
echo "bench"
said=$(cargo test --quiet --bench start 2>&1)
[[ $said == *Success* ]] || { echo "the bench failed: $said" >&2; exit 1; }

if cargo nextest --version >/dev/null 2>&1; then
    echo "nextest"
    # A process per test, and no standard input.
    cargo nextest run --test start --no-fail-fast --show-progress none --status-level fail
else
    skip "start: cargo-nextest isn't installed, so no test ran under it (it starts the same binaries as cargo test)"
fi

# Alone, so that nobody else's features switch it on again.
echo "init()"
program=$(built build --quiet --package start --bin start --no-default-features)
[ "$(START_INIT=1 "$program" check 2>/dev/null)" = checked ] || { echo "init() makes no workers" >&2; exit 1; }
refused=$("$program" refusal)
[[ $refused == "refused: "*"init()"*"no child" ]] || { echo "without init(): $refused" >&2; exit 1; }
