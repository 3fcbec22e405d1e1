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
