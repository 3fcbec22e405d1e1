#!/usr/bin/env bash
# The last commit, cloned into a path with a space, with its target folder elsewhere, from another current folder, with
# another locale, a umask that others can't read by, colours, a proxy that leads nowhere and flags of the user's own: the
# jobs of .ci/run that build and look at what was built, the examples' tests, and then a worktree of that clone. Nothing
# may be left in the checkout. Crates must have been fetched already.
#
# ci/long/elsewhere.sh [job ...]     jobs of .ci/run, and no test; without arguments those that take less than half an hour
set -euo pipefail
source "$(dirname "$0")/../common.sh"

jobs=("$@") configured=(dependencies) tests=()
if [ $# -eq 0 ]; then
    jobs=(fmt elsewhere mutants dependencies licences docs api start examples bench-guard)
    configured=(dependencies api)
    tests=(weather examples)
fi
cargo fetch --locked --quiet

place=$(mktemp -d)
trap 'chmod -R u+w "$place"; rm -rf "$place"' EXIT
root=$place/"a path with a space"
git clone --quiet --no-hardlinks . "$root"
home=${HOME:-~}
cargo_home=${CARGO_HOME:-$home/.cargo}
# A user's own configuration: what is built lies elsewhere without any variable.
mkdir -p "$place/.cargo"
printf '[build]\ntarget-dir = "%s"\n' "$place/configured" >"$place/.cargo/config.toml"

# elsewhere COMMAND ...: as somebody else has their machine.
elsewhere() {
    (
        cd / && umask 077
        exec env -u HOME -u CARGO_TARGET_DIR CARGO_HOME="$cargo_home" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}" \
            CDPATH=/:/tmp LC_ALL=de_DE.UTF-8 LANGUAGE=tr TERM=dumb CARGO_TERM_COLOR=always CARGO_NET_OFFLINE=true \
            http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1 \
            RUSTFLAGS="-C debuginfo=0" "$@"
    )
}

failed=()
try() {
    local name=$1
    shift
    echo "=== elsewhere: $name"
    "$@" || failed+=("$name")
}

# A variable goes before the configuration.
try variable elsewhere CARGO_TARGET_DIR="$place/another target" bash "$root/.ci/run" "${jobs[@]}"
for test in "${tests[@]}"; do
    # What a test runs is built by a `cargo test` for all, and not by one for it alone.
    try "$test" elsewhere CARGO_TARGET_DIR="$place/another target" \
        bash -c 'cd "$1" && cargo build --quiet --examples && cargo test --quiet --test "$2"' - "$root" "$test"
done
# Cargo looks for a configuration in the current folder's parents: .ci/run goes to the root, whose parent has one.
try configuration elsewhere bash "$root/.ci/run" "${configured[@]}"
[ -d "$place/configured/ci" ] || failed+=("the configuration was not heeded")

git -C "$root" worktree add --quiet --detach "$place/work tree"
chmod -R a-w "$place/work tree"
# As root nothing is protected from writing; that nothing is written is seen below.
try worktree elsewhere CARGO_TARGET_DIR="$place/another target" bash "$place/work tree/.ci/run" mutants dependencies

for tree in "$root" "$place/work tree"; do
    left=$(git -C "$tree" status --porcelain --ignored)
    [ -z "$left" ] || failed+=("left in the checkout: $left")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed elsewhere: %s\n' "${failed[@]}" >&2
    exit 1
fi
