#!/usr/bin/env bash
# Clippy finds nothing in the library for any system that it is meant for, on each kind of processor, with every feature; nor
# in the unit, behaviour and crash tests for the two on which nobody has run them.
#
# ci/long/platforms.sh [target ...]
set -euo pipefail
source "$(dirname "$0")/../common.sh"

if [ $# -gt 0 ]; then
    targets=("$@")
else
    targets=(
        x86_64-unknown-linux-musl aarch64-unknown-linux-musl
        # Addresses of 32 bits, and the other processor on which a crash tells its stack.
        i686-unknown-linux-gnu aarch64-unknown-linux-gnu
        x86_64-apple-darwin aarch64-apple-darwin
        x86_64-unknown-freebsd
        x86_64-pc-windows-gnu x86_64-pc-windows-msvc aarch64-pc-windows-msvc
        # Where there are no pools of processes: `sys/unsupported.rs`.
        wasm32-wasip1
    )
fi
bash ci/platforms.sh "${targets[@]}"

# The tests where they are meant to pass; for musl and Windows ci/long/musl.sh and ci/long/windows.sh build and run them.
with_tests=()
for target in "${targets[@]}"; do
    case $target in x86_64-apple-darwin | x86_64-unknown-freebsd) with_tests+=("$target") ;; esac
done
[ ${#with_tests[@]} -gt 0 ] || exit 0
# ci/platforms.sh has said SKIPPED.
rebuild_std 2>/dev/null || exit 0
triples=()
for target in "${with_tests[@]}"; do triples+=(--target "$target"); done
# Of tests/systems, whose few dependencies all compile there.
RUSTFLAGS=-Zno-codegen CARGO_PROFILE_DEV_DEBUG=0 cargo clippy --quiet -Zbuild-std=std,panic_unwind,test --package system-tests \
    --all-features --lib --tests "${triples[@]}" --target-dir "$target_dir/platforms" -- -D warnings \
    -A clippy::missing_const_for_thread_local
echo "clean, with the unit, behaviour and crash tests: ${with_tests[*]}"
