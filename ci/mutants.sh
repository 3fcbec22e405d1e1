#!/usr/bin/env bash
# The list of rules to take away (ci/long/mutants) still fits the sources: each edit changes something, and names tests of
# a suite that there is. Whether a test notices is ci/long/mutants.sh's to see.
set -euo pipefail
source "$(dirname "$0")/common.sh"

status=0
count=0
for mutant in ci/long/mutants/*.sed; do
    count=$((count + 1))
    file=$(sed -n 's/^# file: //p' "$mutant")
    suite=$(sed -n 's/^# tests: \([a-z]*\) .*/\1/p' "$mutant")
    grep -q "^    ${suite:-none}) \|^    $suite | \| $suite) " ci/long/mutants.sh ||
        { echo "$mutant: no suite \"$suite\" in ci/long/mutants.sh" >&2; status=1; }
    if sed -f "$mutant" "$file" | cmp -s - "$file"; then
        echo "$mutant changes nothing in $file: the code has moved on" >&2
        status=1
    fi
done
echo "$count rules that can be taken away"
exit $status
