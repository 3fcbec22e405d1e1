#!/usr/bin/env bash
# The thread-only build needs these crates and no others, and the member over machines chooses these. ARCHITECTURE.md has the
# reason for each direct one.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# First our own choices, then what those need.
expected=$(sort <<'LIST'
concurrent-futures
crossbeam-channel
log
num_cpus
parking_lot
serde_core
thiserror
cfg-if
crossbeam-utils
libc
lock_api
parking_lot_core
proc-macro2
quote
scopeguard
smallvec
syn
thiserror-impl
unicode-ident
LIST
)

# --target: the list is of one platform, so that the answer is the same wherever this runs.
# --locked: and that of Cargo.lock, which must be in step with Cargo.toml.
actual=$(cargo tree --color never --locked --package concurrent-futures --edges normal --no-default-features \
    --target x86_64-unknown-linux-gnu --prefix none --format '{p}' | sed 's/ .*//' | sort -u)

if ! diff <(echo "$expected") <(echo "$actual"); then
    echo "cargo tree differs from the list in ci/dependencies.sh (< listed, > found)" >&2
    exit 1
fi

# Of the member what it names itself: what `redis` brings is that crate's choice. With every feature.
expected=$(sort <<'LIST'
concurrent-futures
hmac
log
parking_lot
redis
rustix
rustls
sha2
signal-hook
thiserror
LIST
)
member=$(cargo tree --color never --locked --package concurrent-futures-redis --edges normal --all-features --depth 1 \
    --target x86_64-unknown-linux-gnu --prefix none --format '{p}' | sed 1d | sed 's/ .*//' | sort -u)
if ! diff <(echo "$expected") <(echo "$member"); then
    echo "cargo tree differs from the member's list in ci/dependencies.sh (< listed, > found)" >&2
    exit 1
fi

count=$(wc -l <<<"$actual")
echo "$count crates, ours included"
[ "$count" -lt 20 ] || { echo "fewer than 20 were promised" >&2; exit 1; }
