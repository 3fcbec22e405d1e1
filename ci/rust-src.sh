#!/usr/bin/env bash
# Fetches the standard library's source of exactly rustc's version, and the crates that it is built with, for checks that
# build it anew: for a target that isn't installed, or with a sanitizer. Prints its folder, or ends with 1 and the reason.
#
# rustup's component rust-src where it is installed. Otherwise Debian's package of that name (ci/debian.sh), from whichever
# suite has the version; unpacked once under target/rust-src.
set -euo pipefail
source "$(dirname "$0")/common.sh"

version=$(rustc -vV | sed -n 's/^release: //p')
fail() {
    echo "the standard library's source of Rust $version can't be had: $*" >&2
    exit 1
}

place=$target_dir/rust-src
library=$(rustc --print sysroot)/lib/rustlib/src/rust/library
if [ ! -e "$library/std/Cargo.toml" ]; then
    within=usr/src/rustc-$version/library
    library=$place/$version/$within
    if [ ! -e "$library/std/Cargo.toml" ]; then
        package=$(bash ci/debian.sh rust-src "${version}[-+~]*" stable-backports testing unstable oldstable-backports) ||
            fail "neither as rustup's component rust-src nor as a package"
        rm -rf "${place:?}/$version" "$place/unpacked"
        mkdir -p "$place/unpacked"
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$place/unpacked" "./$within" || fail "$package has no $within"
        # Whole, or not there.
        mv "$place/unpacked" "$place/$version"
        rm "$package"
    fi
fi

# Only where nothing is missing does the build begin: what fails then is no matter of the network.
if [ ! -e "$place/$version.fetched" ]; then
    mkdir -p "$place"
    # The manifest uses what is unstable.
    RUSTC_BOOTSTRAP=1 cargo fetch --quiet --locked --manifest-path "$library/Cargo.toml" >&2 ||
        fail "cargo can't fetch the crates that it needs"
    touch "$place/$version.fetched"
fi
echo "$library"
