#!/usr/bin/env bash
# All behaviour once more in release: `ci/test-release.sh` has a part of it.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

cargo test --release --package concurrent-futures --lib --test it --test crash
