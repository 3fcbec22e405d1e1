#!/usr/bin/env bash
# Workers come up in every kind of build: optimisation, linkers, position, static C libraries, panics that abort; and
# with several copies of the crate in one program, or the crate inside a shared library.
#
# ci/long/start.sh [name ...]     only the builds whose name contains one of these
#
# What a build is asked is in tests/start: `check` has a pool run tasks, compares arguments and a registry filled before
# `main` between parent and worker, and has a task panic.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

filters=("$@")
target=target/start
host=$(rustc -vV | sed -n 's/^host: //p')
failed=()
count=0

wanted() {
    [ ${#filters[@]} -eq 0 ] && return 0
    local filter
    for filter in "${filters[@]}"; do [[ $1 == *"$filter"* ]] && return 0; done
    return 1
}

complain() {
    echo "  FAILED: $*" >&2
    failed+=("$1")
}

# What every build must do. Each line of output counts: a worker that ran `main` would add one.
ask() {
    local name=$1 program=$2 said
    count=$((count + 1))
    said=$(timeout 60 "$program" check 2>"$target/stderr") && [ "$said" = checked ] ||
        { complain "$name" "check: $said"; grep -v '^  ' "$target/stderr" | tail -n 5 >&2; }
    said=$(timeout 60 "$program" refusal) && [ "$said" = $'built\nno child' ] || complain "$name" "refusal: $said"
    said=$(timeout 60 "$program" forked 2>/dev/null) && [[ $said == *"sum 45"* ]] || complain "$name" "forked: $said"
    said=$(timeout 60 "$program" short-thread) && [ "$said" = "the same worker" ] || complain "$name" "short-thread: $said"
}

# try NAME RUSTFLAGS [CARGO ARGUMENT ...]: builds the program and asks it.
try() {
    local name=$1 flags=$2 triple=$host profile=dev
    shift 2
    wanted "$name" || return 0
    local arguments=("$@") i
    for ((i = 0; i < ${#arguments[@]}; i++)); do
        [ "${arguments[i]}" = --target ] && triple=${arguments[i + 1]}
        [ "${arguments[i]}" = --profile ] && profile=${arguments[i + 1]}
    done
    [ "$profile" = dev ] && profile=debug
    [[ " $* " == *" --target "* ]] || set -- "$@" --target "$host"
    echo "$name"
    # --target, so that the flags are not those of build scripts and macros.
    if ! RUSTFLAGS="$flags" cargo build --quiet --package start --bin start --target-dir "$target" "$@"; then
        complain "$name" "it doesn't build"
        return 0
    fi
    program=$target/$triple/$profile/start
    ask "$name" "$program"
}

# Whether the last program was linked by a linker of this name: they leave their names in `.comment`.
linked_by() {
    wanted "$1" || return 0
    grep -qa "$2" "$program" || complain "$1" "it was not linked by $2"
}

try debug ""
try release "" --profile release
try lto-fat "" --profile release --config 'profile.release.lto="fat"'
try lto-thin "" --profile release --config 'profile.release.lto="thin"'
try lto-fat-one-unit-strip "" --profile release --config 'profile.release.lto="fat"' \
    --config 'profile.release.codegen-units=1' --config 'profile.release.strip=true'
try units-256 "" --profile release --config 'profile.release.codegen-units=256'
try small "" --profile release --config 'profile.release.opt-level="z"'
try abort-debug "" --config 'profile.dev.panic="abort"'
try abort-release "" --profile release --config 'profile.release.panic="abort"' --config 'profile.release.lto="fat"'
try gc-sections "-Clink-arg=-Wl,--gc-sections" --profile release
try no-build-id "-Clink-arg=-Wl,--build-id=none" --profile release
try no-pie "-Crelocation-model=static" --profile release
try frame-pointers "-Cforce-frame-pointers=yes -Ctarget-cpu=native" --profile release


# Linkers order and drop sections by their own rules. On this platform rustc's own choice is lld.
if [ "$host" = x86_64-unknown-linux-gnu ]; then
    try lld "-Clink-arg=-fuse-ld=lld" --profile release
    linked_by lld 'Linker: LLD'
    try lld-folding "-Clink-arg=-fuse-ld=lld -Clink-arg=-Wl,--icf=all" --profile release
    linked_by lld-folding 'Linker: LLD'
fi
if command -v ld.bfd >/dev/null; then
    try gnu-ld "-Clink-arg=-fuse-ld=bfd" --profile release
    try gnu-ld-lto-fat "-Clink-arg=-fuse-ld=bfd" --profile release --config 'profile.release.lto="fat"'
    try gnu-ld-gc-sections "-Clink-arg=-fuse-ld=bfd -Clink-arg=-Wl,--gc-sections" --profile release
else
    skip "start: GNU ld isn't installed, so nothing was linked by it"
fi
if command -v ld.gold >/dev/null; then
    try gold "-Clink-arg=-fuse-ld=gold" --profile release
else
    skip "start: gold isn't installed, so nothing was linked by it"
fi

# Static C libraries: there the constructors are called by other code, musl's without the arguments.
try static-glibc "-Ctarget-feature=+crt-static" --profile release
try static-glibc-no-pie "-Ctarget-feature=+crt-static -Crelocation-model=static" --profile release
musl=x86_64-unknown-linux-musl
if rustup target list --installed 2>/dev/null | grep -qx $musl; then
    try musl "" --target $musl
    try musl-lto-strip "" --profile release --target $musl --config 'profile.release.lto="fat"' \
        --config 'profile.release.strip=true'
    try musl-abort "" --profile release --target $musl --config 'profile.release.panic="abort"'
    try musl-no-pie "-Crelocation-model=static" --profile release --target $musl
    if wanted musl; then
        # musl learns its arguments from /proc alone.
        said=$("$program" without-proc refusal)
        case $said in
        "not permitted"*) skip "start: /proc can't be taken away here, so a static program without it was not tried" ;;
        "refused: "*"no child") ;;
        *) complain musl "without /proc: $said" ;;
        esac
    fi
else
    skip "start: $musl isn't installed (rustup target add $musl), so no program of it was tried"
fi

# The crate in a package of its own, so that it can be had a second and a third time.
copy() {
    local to=$1 version=$2 name=${3:-concurrent-futures}
    rm -rf "$to"
    mkdir -p "$to"
    cp -r src "$to"
    # The workspace stays behind, and what is inherited from it is written out.
    sed -e '/^\[workspace\]/,/^\[profile/{/^\[profile/!d}' -e '/^\[profile/,$d' -e '/^\[lints\]/,$d' \
        -e '/^\[\[\(bench\|example\|test\)\]\]/,/^$/d' -e '/^\[dev-dependencies\]/,/^$/d' \
        -e 's/^rust-version.workspace.*//' -e 's/^readme.*//' -e "s/^version = .*/version = \"$version\"/" \
        -e "s/^name = \"concurrent-futures\"/name = \"$name\"/" Cargo.toml >"$to/Cargo.toml"
    printf '[workspace]\n' >>"$to/Cargo.toml"
}

if wanted copies; then
    echo copies
    count=$((count + 1))
    # The path must not lie in this workspace, or cargo would look for its members here.
    apart=$(mktemp -d)
    trap 'rm -rf "$apart"' EXIT
    copy "$apart/first" 0.1.0
    copy "$apart/same" 0.1.0 same-version
    copy "$apart/next" 0.2.0
    mkdir -p "$apart/copies/src"
    cat >"$apart/copies/Cargo.toml" <<TOML
[package]
name = "copies"
version = "0.0.0"
edition = "2024"
[dependencies]
first = { package = "concurrent-futures", path = "../first" }
same = { package = "same-version", path = "../same" }
next = { package = "concurrent-futures", path = "../next" }
[workspace]
TOML
    cat >"$apart/copies/src/main.rs" <<'RUST'
//! Three copies of the crate in one program: each has its own workers.

use std::collections::HashSet;

type Seen = (String, u32);

fn look(_: ()) -> Seen {
    (std::env::args().next().unwrap_or_default(), std::process::id())
}

macro_rules! copy {
    ($module:ident, $copy:ident) => {
        mod $module {
            use $copy::{ExecutorExt, ProcessPoolExecutor};

            pub fn pool() -> ProcessPoolExecutor {
                ProcessPoolExecutor::builder().max_workers(1).build().expect("a pool")
            }

            pub fn look(pool: &ProcessPoolExecutor) -> super::Seen {
                pool.submit(super::look, ()).result().expect("a worker")
            }
        }
    };
}

copy!(one, first);
copy!(two, same);
copy!(three, next);

fn main() {
    let pools = (one::pool(), two::pool(), three::pool());
    let seen = [one::look(&pools.0), two::look(&pools.1), three::look(&pools.2)];
    assert_eq!(seen.iter().map(|seen| &seen.0).collect::<HashSet<_>>().len(), 3, "{seen:?}");
    assert_eq!(seen.iter().map(|seen| seen.1).collect::<HashSet<_>>().len(), 3, "{seen:?}");
    assert_eq!(seen.iter().filter(|seen| seen.0.contains("/0.2.0/")).count(), 1, "{seen:?}");
    pools.0.kill_workers();
    drop(pools.0);
    assert_eq!((two::look(&pools.1), three::look(&pools.2)), (seen[1].clone(), seen[2].clone()));
    println!("apart");
}
RUST
    cp Cargo.lock "$apart/copies/"
    said=$(cargo run --quiet --manifest-path "$apart/copies/Cargo.toml" --target-dir "$target" 2>"$target/stderr") || true
    [ "$said" = apart ] || { complain copies "$said"; tail -n 20 "$target/stderr" >&2; }
fi

# As bevy's `dynamic_linking` does it: the crate in a shared library, the program beside it.
if wanted dylib; then
    echo dylib
    count=$((count + 1))
    apart=${apart:-$(mktemp -d)}
    trap 'rm -rf "$apart"' EXIT
    copy "$apart/crate" 0.1.0
    mkdir -p "$apart/inner/src" "$apart/outer/src"
    cat >"$apart/inner/Cargo.toml" <<'TOML'
[package]
name = "inner"
version = "0.0.0"
edition = "2024"
[lib]
crate-type = ["dylib"]
[dependencies]
concurrent-futures = { path = "../crate" }
TOML
    echo 'pub use concurrent_futures::*;' >"$apart/inner/src/lib.rs"
    cat >"$apart/outer/Cargo.toml" <<'TOML'
[package]
name = "outer"
version = "0.0.0"
edition = "2024"
[dependencies]
inner = { path = "../inner" }
[workspace]
members = ["../inner"]
TOML
    cat >"$apart/outer/src/main.rs" <<'RUST'
use inner::{ExecutorExt, ProcessPoolExecutor};

fn main() {
    inner::init();
    match ProcessPoolExecutor::builder().max_workers(1).build() {
        Err(error) => println!("refused: {error}"),
        Ok(pool) => println!("answered: {:?}", pool.submit(|n: u32| n + 1, 1).result()),
    }
}
RUST
    cp Cargo.lock "$apart/outer/"
    sed -i 's|members = \["../inner"\]||' "$apart/outer/Cargo.toml"
    RUSTFLAGS="-Cprefer-dynamic" cargo build --quiet --manifest-path "$apart/outer/Cargo.toml" --target-dir "$target/dylib" \
        2>"$target/stderr" || { complain dylib "it doesn't build"; tail -n 20 "$target/stderr" >&2; }
    libraries=$(rustc --print target-libdir):$target/dylib/debug/deps:$target/dylib/debug
    said=$(LD_LIBRARY_PATH=$libraries timeout 60 "$target/dylib/debug/outer" 2>&1) || complain dylib "status $?"
    echo "  $said"
    [[ $said == "refused: "* || $said == "answered: Ok(2)" ]] || complain dylib "$said"
fi

echo "$count builds"
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
[ "$count" -gt 0 ] || { echo "no build has such a name" >&2; exit 1; }
