#!/usr/bin/env bash
# The manifest for Kubernetes in docs/cluster.md is one: of the oldest and the newest version whose schemas are here, with no
# field that they don't know. kubernetes-validate, a wheel with the schemas in it, is installed beside what cargo builds.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

tools=$target_dir/tools/recipes
if [ ! -x "$tools/bin/kubernetes-validate" ]; then
    { python3 -m venv "$tools" && "$tools/bin/python" -m pip install --quiet kubernetes-validate; } || {
        skip "recipes: no kubernetes-validate (python3 with venv, and a package index), so no schema has seen the manifest"
        exit 0
    }
fi
manifest=$(mktemp)
trap 'rm -f "$manifest"' EXIT
# The block that the docs show.
sed -n '/^```yaml$/,/^```$/p' docs/cluster.md | sed '/^```/d' >"$manifest"
grep -q '^kind: Deployment$' "$manifest" || { echo "docs/cluster.md shows no Deployment" >&2; exit 1; }
"$tools/bin/kubernetes-validate" --strict --kubernetes-version 1.26 "$manifest"
# Without a version, the newest.
"$tools/bin/kubernetes-validate" --strict "$manifest"
# So the check can tell: a field of another name is found.
sed -i 's/terminationGracePeriodSeconds/terminationGracePeriod/' "$manifest"
if "$tools/bin/kubernetes-validate" --strict --quiet "$manifest" >/dev/null 2>&1; then
    echo "the schemas take a field that there is not" >&2
    exit 1
fi
