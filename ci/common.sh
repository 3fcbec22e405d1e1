# shellcheck shell=bash
# Shared by all scripts: sourced, not run. Changes to the root of the repository, from any folder, and makes the scripts
# independent of the settings of a machine. `ci/elsewhere.sh` checks that.

# CDPATH may lead `cd` elsewhere; other locales sort differently, write 0,5 and translate the texts that are searched for.
unset CDPATH
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Where cargo puts what it builds: `target`, CARGO_TARGET_DIR, or what a user's configuration says.
target_dir=$(cargo metadata --no-deps --offline --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
[ -n "$target_dir" ] || { echo "cargo doesn't say where its target folder is" >&2; exit 1; }
# A relative one would be another in another folder.
if [ -n "${CARGO_TARGET_DIR:-}" ]; then export CARGO_TARGET_DIR=$target_dir; fi

# built CARGO-COMMAND ARGUMENT ...: builds, and prints the path of the program; of several, the last.
# The path comes from cargo's JSON messages: folders depend on the configuration, and texts on colours.
built() {
    cargo "$@" --message-format json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

# Reports a check that can't be made here. `.ci/run` repeats these lines at its end, so that a skip never looks like a pass.
skip() {
    echo "SKIPPED: $*" >&2
}

# A program over `cargo metadata` (ci/metadata): Rust, because neither jq nor python can be relied on.
# --all-features: what a user may switch on counts too.
metadata() {
    # Into a file, not a pipe: two cargos at once wait for each other's lock.
    mkdir -p "$target_dir/ci"
    cargo metadata --format-version 1 --all-features >"$target_dir/ci/metadata.json"
    cargo run --quiet --package ci-metadata -- "$@" <"$target_dir/ci/metadata.json"
}

# Another crate's program, of exactly this version, under `tools` in the target folder; does nothing where it is there already. Optimised
# lightly, since it is built for one run more often than for many. A build that was interrupted goes on where it was.
tool() {
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked --root "$target_dir/tools" \
        --target-dir "$target_dir/tools/build" "$1" --version "=$2"
}

# From here on cargo can build the standard library anew, from the source that ci/rust-src.sh fetches: for that it needs
# -Zbuild-std=std,panic_unwind (tests: and test) and a --target. 1, and the reason on stderr, where there is no source.
rebuild_std() {
    local library
    library=$(bash ci/rust-src.sh) || return
    # Unstable, which the first lets a stable compiler do. The second is a variable of cargo's own tests that says where the
    # source lies: nothing in the toolchain is touched.
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library
}
