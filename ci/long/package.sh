#!/usr/bin/env bash
# The package as it would be published: it can be made, and what is in it compiles outside this workspace, with every
# feature and without any; its examples and benches do as well.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

# Builds the library with its default features.
cargo publish --dry-run --allow-dirty --package concurrent-futures

version=$(cargo pkgid --package concurrent-futures | sed 's/.*[#@]//')
# Outside: cargo would take what lies under here for a member.
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
cp -R "$target_dir/package/concurrent-futures-$version" "$away/package"
check() { cargo check --quiet --manifest-path "$away/package/Cargo.toml" --target-dir "$target_dir/package/check" "$@"; }
echo "no feature"
check --no-default-features
echo "all features, examples and benches"
check --all-features --examples --benches
