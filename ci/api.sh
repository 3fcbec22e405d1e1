#!/usr/bin/env bash
# What the library shows to others is what docs/public-api.txt says, line by line, so that a change of it is seen in
# review.
#
#   ci/api.sh            compares
#   ci/api.sh --update   writes the file anew
set -euo pipefail
source "$(dirname "$0")/common.sh"

listing=docs/public-api.txt

# rustdoc gives JSON only on a nightly compiler or to those who say that they know. Said to rustdoc alone, by a program in
# its place: build scripts ask for the variable, so that a cargo which has it builds half of everything anew, and again
# without it.
mkdir -p target/ci
cat >target/ci/rustdoc <<'RUSTDOC'
#!/bin/sh
RUSTC_BOOTSTRAP=1 exec "${REAL_RUSTDOC:-rustdoc}" "$@"
RUSTDOC
chmod +x target/ci/rustdoc
REAL_RUSTDOC="${RUSTDOC:-rustdoc}" RUSTDOC="$PWD/target/ci/rustdoc" RUSTDOCFLAGS='' \
    cargo rustdoc --quiet --package concurrent-futures --lib --all-features -- -Z unstable-options --output-format json

# 3: another compiler's format.
status=0
cargo run --quiet --package ci-api -- target/doc/concurrent_futures.json >target/ci/public-api.txt || status=$?
if [ "$status" = 3 ]; then
    skip "api: $(rustdoc --version) writes another format than ci/api reads, so nobody compared the public face with $listing"
    exit 0
fi
[ "$status" = 0 ] || exit "$status"

if [ "${1:-}" = --update ]; then
    cp target/ci/public-api.txt "$listing"
elif ! diff -U0 "$listing" target/ci/public-api.txt; then
    echo "the public face has changed (- listed, + found): if that is meant, ci/api.sh --update, and the CHANGELOG" >&2
    exit 1
fi
echo "$(wc -l <"$listing") lines"
