#!/usr/bin/env bash
# Unit tests under Miri, where the component is installed: undefined behaviour in what needs no system call.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

if ! RUSTC_BOOTSTRAP=1 cargo miri --version >/dev/null 2>&1; then
    skip "miri: the component isn't installed (rustup component add miri, on a nightly toolchain); nothing was run"
    exit 0
fi
# Isolation off: tests ask for the time. Processes, sockets and shared memory are what Miri doesn't have.
MIRIFLAGS="-Zmiri-disable-isolation" cargo miri test --package concurrent-futures --lib --no-default-features
