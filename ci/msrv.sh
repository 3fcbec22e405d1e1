#!/usr/bin/env bash
# The library, and its member over machines, compile with the Rust version that Cargo.toml states.
set -euo pipefail
source "$(dirname "$0")/common.sh"

msrv=$(metadata rust-version concurrent-futures)
echo "stated: Rust $msrv"

# No crate that users get through us needs a newer one.
metadata dependency-rust-versions concurrent-futures
metadata dependency-rust-versions concurrent-futures-redis

# The standard library's items by the version that brought them are among clippy's warnings: ci/clippy.sh.

# At least one real compiler that is no newer has to see the code. `rustup toolchain list` is asked first, because
# `cargo +version` may start a download.
if command -v rustup >/dev/null && rustup toolchain list | grep -q "^$msrv"; then
    toolchain=$(rustup toolchain list | grep -o "^${msrv}[^ ]*" | head -n 1)
    # A target folder of its own: two compilers in one would rebuild everything twice a round.
    cargo "+$toolchain" test --package concurrent-futures --lib --all-features --target-dir "$target_dir/msrv"
    cargo "+$toolchain" check --package concurrent-futures-redis --lib --target-dir "$target_dir/msrv"
    exit
fi

# Otherwise one of Debian's for this system, which may be older: with it the code needs the features named here, which 1.86
# to 1.88 made stable (only of core: a crate without std knows no others). What else is newer than that compiler fails: look up whether it is in the stated version.
features="let_chains,slice_as_chunks,trait_upcasting,integer_sign_cast,unsigned_is_multiple_of"
compiler=$target_dir/msrv/compiler
unpack() {
    local package
    package=$(bash ci/debian.sh "$@") || return
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$compiler.part" --exclude='./usr/share/*' || return
    rm "$package"
}
older_compiler() {
    local suffix package version llvm
    [ ! -e "$compiler" ] || return 0
    # A stable Debian has a second one, for its browsers.
    for suffix in -web ""; do
        package=$(bash ci/debian.sh "rustc$suffix" '1.8[5-8].*') || continue
        version=$(dpkg-deb -f "$package" Version)
        rm -rf "$compiler.part"
        mkdir -p "$compiler.part"
        unpack "rustc$suffix" "$version" && unpack "libstd-rust$suffix-dev" "$version" || return
        package=libstd-rust$suffix-${version:0:4}
        llvm=$(dpkg-deb -f "$(bash ci/debian.sh "$package" "$version")" Depends | grep -o 'libllvm[0-9]*') || return
        unpack "$package" "$version" && unpack "$llvm" '*' && mv "$compiler.part" "$compiler" || return
        return 0
    done
    return 1
}
if older_compiler; then
    libraries=$compiler/usr/lib/$(uname -m)-linux-gnu
    export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
if ! version=$("$compiler/usr/bin/rustc" --version); then
    skip "msrv: Rust $msrv isn't installed (rustup toolchain install $msrv), nor is there an older one, so no such compiler has seen the code"
    exit 0
fi
echo "compiled by: $version"
export RUSTC=$compiler/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zcrate-attr=feature($features)"
# Nothing is optimised here, for which the profile for releases is taken: that for development says how much for one dependency
# after the other.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
options=(--quiet --release --ignore-rust-version --target-dir "$target_dir/msrv/target")
skip "msrv: what concurrent-futures-redis depends on needs a newer compiler than this one, so the lint alone has looked at it"
# Every line of the library with its unit tests, in one build. Of the packages that have them tests/systems depends on the least.
cargo test "${options[@]}" --package system-tests --lib --all-features >"$target_dir/msrv/tests.log" 2>&1 || {
    cat "$target_dir/msrv/tests.log" >&2
    exit 1
}
grep '^test result' "$target_dir/msrv/tests.log"
