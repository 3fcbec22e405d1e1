#!/usr/bin/env bash
# Clippy finds nothing in the library for other systems than this one. Without arguments these are two, which differ the most
# from it and from each other; ci/long/platforms.sh asks for the others too, and compiles tests.
#
#   ci/platforms.sh [target ...]
#
# No target has to be installed: the standard library is compiled as well, as far as a check needs it.
set -euo pipefail
source "$(dirname "$0")/common.sh"

if [ $# -gt 0 ]; then
    targets=("$@")
else
    targets=(x86_64-apple-darwin x86_64-pc-windows-msvc)
fi
if ! rebuild_std; then
    for target in "${targets[@]}"; do
        skip "platforms: nothing was compiled for $target: its standard library has no source here (rustup component add rust-src)"
    done
    exit 0
fi

triples=()
for target in "${targets[@]}"; do triples+=(--target "$target"); done
# In one run, so that all processors have work to its end. A check needs no linker and, -Zno-codegen, no code of the
# standard library: half of the time and the room. A target folder of its own, so that nothing of the usual one is pushed out.
# -A: it is wrong where thread-locals are no part of the system, as on Windows (rust-clippy 13422); ci/clippy.sh has it.
RUSTFLAGS=-Zno-codegen CARGO_PROFILE_DEV_DEBUG=0 cargo clippy --quiet -Zbuild-std=std,panic_unwind --package concurrent-futures --lib --all-features \
    "${triples[@]}" --target-dir "$target_dir/platforms" -- -D warnings -A clippy::missing_const_for_thread_local
echo "clean: ${targets[*]}"
