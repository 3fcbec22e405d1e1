#!/usr/bin/env bash
# The library compiles without warnings for platforms other than this machine's: where pools of processes are meant to
# work (macOS, musl), and where `build()` says that they don't (Windows, other Unixes).
set -euo pipefail
source "$(dirname "$0")/common.sh"

installed=$(rustup target list --installed 2>/dev/null || true)
for target in x86_64-unknown-linux-musl x86_64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-gnu; do
    if ! grep -qx "$target" <<<"$installed"; then
        skip "platforms: $target isn't installed (rustup target add $target), so nothing was compiled for it"
        continue
    fi
    echo "$target"
    # A check needs no linker. A target folder of its own, so that nothing of the usual one is pushed out.
    cargo clippy --quiet --package concurrent-futures --lib --all-features --target "$target" \
        --target-dir "$target_dir/platforms" -- -D warnings
done
