#!/usr/bin/env bash
# The list of rules to take away (ci/long/mutants) still fits the sources: what each changes stands in src/ exactly once,
# and it names tests of a suite that there is. Whether a test notices is ci/long/mutants.sh's to see.
set -euo pipefail
source "$(dirname "$0")/common.sh"

status=0
for mutant in ci/long/mutants/*; do
    suite=$(sed -n 's/^# tests: \([a-z]*\).*/\1/p' "$mutant")
    grep -q "^    ${suite:-none}) \|^    $suite | \| $suite) " ci/long/mutants.sh ||
        { echo "$mutant: no suite \"$suite\" in ci/long/mutants.sh" >&2; status=1; }
done
cargo run --quiet --package ci-mutants -- check src ci/long/mutants/* || status=1
echo "$(ls ci/long/mutants | wc -l) rules that can be taken away"
exit $status
