# shellcheck shell=bash
# What every job shares: sourced, not run. Goes to the root of the repository, wherever the job was called from, and makes
# what other people have set on their machines make no difference. `ci/elsewhere.sh` holds that.

# CDPATH may lead `cd` somewhere else; other locales sort otherwise, write 0,5 and translate what is searched for.
unset CDPATH
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Where cargo puts what it builds: `target`, CARGO_TARGET_DIR, or what a user's configuration says.
target_dir=$(cargo metadata --no-deps --offline --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
[ -n "$target_dir" ] || { echo "cargo doesn't say where its target folder is" >&2; exit 1; }
# A relative one would be another in another folder.
if [ -n "${CARGO_TARGET_DIR:-}" ]; then export CARGO_TARGET_DIR=$target_dir; fi

# built CARGO-COMMAND ARGUMENT ...: builds, and says where the program is that cargo has built; the last of several.
# Read from its messages for programs: folders depend on the configuration, and texts on colours.
built() {
    cargo "$@" --message-format json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

# A check that can't be made here. `.ci/run` repeats these lines at its end, so that a skip never looks like a pass.
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
