#!/usr/bin/env bash
# For all dependencies: licences, duplicates, sources, known vulnerabilities. ci/deny.toml says what is accepted.
#
# The first run builds cargo-deny. The list of known vulnerabilities comes over the network; without it, the rest is
# checked.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

tool cargo-deny 0.20.2
export PATH="$target_dir/tools/bin:$PATH"

echo "everything"
# An exception that nothing needs any more is an error too.
cargo deny --workspace --locked --config ci/deny.toml check -D unmatched-skip -D unnecessary-skip licenses bans sources

echo "what reaches the library's users: nothing twice"
out=$target_dir/ci
mkdir -p "$out"
sed '/^skip = \[/,/^\]/d' ci/deny.toml >"$out/deny-shipped.toml"
if grep -q '^skip' "$out/deny-shipped.toml"; then
    echo "the exceptions in ci/deny.toml stand otherwise than ci/long/deny.sh expects" >&2
    exit 1
fi
cargo deny --exclude-dev --locked --config "$out/deny-shipped.toml" check bans

echo "known holes"
status=0
timeout 60 cargo deny --workspace --locked --config ci/deny.toml check advisories >"$out/advisories.log" 2>&1 || status=$?
if [ "$status" = 124 ] || grep -q 'failed to fetch advisory database' "$out/advisories.log"; then
    skip "deny: the list of known holes can't be reached from here, so nobody compared it with Cargo.lock"
    exit 0
fi
cat "$out/advisories.log"
exit "$status"
