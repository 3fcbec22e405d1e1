#!/usr/bin/env bash
# Compares the public interface with that of the last release: its users can use this version, or the version number says that
# they can't.
#
#   ci/long/semver.sh                       the last tag `v..`; without one this very commit, so that it is seen to work
#   ci/long/semver.sh REVISION              any revision of this repository
#   ci/long/semver.sh --published VERSION   what is in the registry
#
# The first run builds cargo-semver-checks, which takes some ten minutes on two cores; one that is interrupted goes on where
# it was.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

case "${1:-}" in
--published) baseline=(--baseline-version "$2") ;;
"")
    if tag=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null); then
        baseline=(--baseline-rev "$tag")
    else
        skip "semver: there is no release yet (no tag v..), so this tree is compared with its own last commit"
        baseline=(--baseline-rev HEAD)
    fi
    ;;
*) baseline=(--baseline-rev "$1") ;;
esac

tool cargo-semver-checks 0.51.0
export PATH="$target_dir/tools/bin:$PATH"

cargo semver-checks --package concurrent-futures --all-features "${baseline[@]}"
