#!/usr/bin/env bash
# Workers start in every kind of build: optimisation, linkers, position, static C libraries, panics that abort; and
# with several copies of the crate in one program, or the crate inside a shared library.
#
# ci/long/start.sh [name ...]     only the builds whose name contains one of these
#
# What a build is asked is in tests/start: `check` has a pool run tasks, compares arguments and a registry filled before
# `main` between parent and worker, and has a task panic; `stacks`, whether a crash and a time-out name the function that the task
# was in.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

filters=("$@")
target=$target_dir/start
mkdir -p "$target"
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
    local told=named
    [[ $name == *strip* || $name == gnu-ld-gc-sections || $name == gnu-ld-lto-fat ]] && told=addresses
    said=$(timeout 60 "$program" stacks 2>/dev/null) && [ "$said" = "$told" ] || complain "$name" "stacks: $said"
    said=$(timeout 60 "$program" short-thread) && [ "$said" = "the same worker" ] || complain "$name" "short-thread: $said"
}

# build NAME TRIPLE PROFILE CARGO...: builds the program and asks it. Always with --target, so that flags are not those of
# build scripts and macros.
build() {
    local name=$1 triple=$2 folder=$3
    shift 3
    echo "$name"
    program=$target/$triple/${folder/#dev/debug}/start
    if "$@" 2>"$target/stderr"; then ask "$name" "$program"; else
        complain "$name" "it doesn't build"
        tail -n 20 "$target/stderr" >&2
    fi
}

# try NAME RUSTFLAGS PROFILE [CARGO ARGUMENT ...]: flags for every crate.
try() {
    local name=$1 flags=$2 profile=$3
    shift 3
    wanted "$name" || return 0
    build "$name" "$triple" "$profile" env RUSTFLAGS="$flags" cargo build --quiet --package start --bin start \
        --target-dir "$target" --target "$triple" --profile "$profile" "$@"
}

# link NAME FLAGS [CARGO ARGUMENT ...]: flags for the last step alone, of a release build; all else is there already.
link() {
    local name=$1 flags=$2
    shift 2
    wanted "$name" || return 0
    # shellcheck disable=SC2086 # several flags
    build "$name" "$triple" release cargo rustc --quiet --package start --bin start --target-dir "$target" \
        --target "$triple" --profile release "$@" -- $flags
}

# Whether the last program was linked by a linker of this name: they leave their names in `.comment`.
linked_by() {
    wanted "$1" || return 0
    grep -qa "$2" "$program" || complain "$1" "it was not linked by $2"
}

fat='profile.release.lto="fat"'
thin='profile.release.lto="thin"'
strip='profile.release.strip=true'
triple=$host

try debug "" dev
try abort-debug "" dev --config 'profile.dev.panic="abort"'
try release "" release
link gc-sections "-Clink-arg=-Wl,--gc-sections"
link no-build-id "-Clink-arg=-Wl,--build-id=none"
link no-pie "-Crelocation-model=static"
link stripped "-Cstrip=symbols"

# Linkers order and drop sections by their own rules. On this platform rustc's own choice is lld.
if [ "$host" = x86_64-unknown-linux-gnu ]; then
    link lld "-Clink-arg=-fuse-ld=lld"
    linked_by lld 'Linker: LLD'
    link lld-folding "-Clink-arg=-fuse-ld=lld -Clink-arg=-Wl,--icf=all"
    linked_by lld-folding 'Linker: LLD'
fi
if command -v ld.bfd >/dev/null; then
    link gnu-ld "-Clink-arg=-fuse-ld=bfd"
    link gnu-ld-gc-sections "-Clink-arg=-fuse-ld=bfd -Clink-arg=-Wl,--gc-sections -Cstrip=symbols"
else
    skip "start: GNU ld isn't installed, so nothing was linked by it"
fi
if command -v ld.gold >/dev/null; then
    link gold "-Clink-arg=-fuse-ld=gold"
else
    skip "start: gold isn't installed, so nothing was linked by it"
fi

try lto-thin "" release --config "$thin"
try lto-fat-strip "" release --config "$fat" --config "$strip" --config 'profile.release.codegen-units=1'
if command -v ld.bfd >/dev/null; then
    link gnu-ld-lto-fat "-Clink-arg=-fuse-ld=bfd" --config "$fat" --config "$strip" --config 'profile.release.codegen-units=1'
fi
try units-256 "" release --config 'profile.release.codegen-units=256'
try small "" release --config 'profile.release.opt-level="z"'
try abort-lto-fat "" release --config 'profile.release.panic="abort"' --config "$fat"

# Static C libraries: there the constructors are called by other code, musl's without the arguments.
try static-glibc "-Ctarget-feature=+crt-static" release
try static-glibc-no-pie "-Ctarget-feature=+crt-static -Crelocation-model=static" release
triple=x86_64-unknown-linux-musl
if rustup target list --installed 2>/dev/null | grep -qx $triple; then
    try musl "" dev
    try musl-abort-lto-fat-strip "" release --config "$fat" --config "$strip" --config 'profile.release.panic="abort"'
    try musl-release "" release
    link musl-no-pie "-Crelocation-model=static"
    if wanted musl-no-pie; then
        # musl learns its arguments from /proc alone.
        said=$("$program" without-proc refusal)
        case $said in
        "not permitted"*) skip "start: /proc can't be taken away here, so a static program without it was not tried" ;;
        "refused: "*"no child") ;;
        *) complain musl-no-pie "without /proc: $said" ;;
        esac
    fi
else
    skip "start: $triple isn't installed (rustup target add $triple), so no program of it was tried"
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
