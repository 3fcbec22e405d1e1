# What every job shares: sourced, not run. Goes to the root of the repository, wherever the job was called from.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A check that can't be made here. `.ci/run` repeats these lines at its end, so that a skip never looks like a pass.
skip() {
    echo "SKIPPED: $*" >&2
}

# A program over `cargo metadata` (ci/metadata): Rust, because neither jq nor python can be relied on.
# --all-features: what a user may switch on counts too.
metadata() {
    # Into a file, not a pipe: two cargos at once wait for each other's lock.
    mkdir -p target/ci
    cargo metadata --format-version 1 --all-features >target/ci/metadata.json
    cargo run --quiet --package ci-metadata -- "$@" <target/ci/metadata.json
}

# Another crate's program, of exactly this version, under target/tools; does nothing where it is there already. Optimised
# lightly, since it is built for one run more often than for many. A build that was interrupted goes on where it was.
tool() {
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked --root target/tools \
        --target-dir target/tools/build "$1" --version "=$2"
}
