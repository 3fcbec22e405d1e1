#!/usr/bin/env bash
# The library, and its member over machines, compile with the Rust version that Cargo.toml states.
set -euo pipefail
source "$(dirname "$0")/common.sh"

msrv=$(metadata rust-version concurrent-futures)
echo "stated: Rust $msrv"

# No crate that users get through us needs a newer one.
metadata dependency-rust-versions concurrent-futures
metadata dependency-rust-versions concurrent-futures-redis

# The standard library's items by the version that brought them. Only this lint: the others are ci/clippy.sh's.
cargo clippy --package concurrent-futures --package concurrent-futures-redis --lib --all-features -- -A clippy::all -D clippy::incompatible_msrv

# `rustup toolchain list` is asked first, because `cargo +version` may start a download.
if command -v rustup >/dev/null && rustup toolchain list | grep -q "^$msrv"; then
    toolchain=$(rustup toolchain list | grep -o "^${msrv}[^ ]*" | head -n 1)
    # A target folder of its own: two compilers in one would rebuild everything twice a round.
    cargo "+$toolchain" test --package concurrent-futures --lib --all-features --target-dir "$target_dir/msrv"
    cargo "+$toolchain" check --package concurrent-futures-redis --lib --target-dir "$target_dir/msrv"
else
    skip "msrv: Rust $msrv isn't installed (rustup toolchain install $msrv), so no compiler of that version has seen the code"
fi
