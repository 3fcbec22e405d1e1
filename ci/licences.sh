#!/usr/bin/env bash
# Every dependency has a licence that is compatible with our own (MIT OR Apache-2.0).
set -euo pipefail
source "$(dirname "$0")/common.sh"

for licence in LICENSE-MIT LICENSE-APACHE; do
    [ -s "$licence" ] || { echo "$licence is missing" >&2; exit 1; }
done

# The lists of licences stand in ci/metadata/src/licence.rs: a short one for what users get, a longer one for our tools.
metadata licences concurrent-futures
metadata licences concurrent-futures-redis
