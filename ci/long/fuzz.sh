#!/usr/bin/env bash
# Bad input for everything that reads foreign bytes: a million random cases for each target of tests/fuzz. Targets that read
# bytes internal to the crate are in tests/internals/src/fuzz.
#
# ci/long/fuzz.sh [cases] [target ...]            by chance, in release with all checks on: less than 10 minutes for all
# FUZZ=coverage ci/long/fuzz.sh [seconds] [target ...]   led by coverage (libFuzzer), where cargo-fuzz is installed
#
# A case that fails is kept: put it into tests/fuzz/corpus/TARGET under a name that says what it shows, and `cargo test`
# holds it from then on. By chance: `fuzz` in the target folder; SEED picks other cases. By coverage: tests/fuzz/artifacts; what the corpus
# gained is left in `fuzz/corpus` there, for `cargo fuzz cmin` and a look.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

amount=${1:-}
targets=("${@:2}")

if [ "${FUZZ:-chance}" = chance ]; then
    exec cargo run --profile fuzz --package fuzz-tests --bin cases -- \
        --cases "${amount:-1000000}" --seed "${SEED:-1}" "${targets[@]}"
fi

cargo fuzz --version >/dev/null 2>&1 || {
    skip "fuzz: cargo-fuzz isn't installed (cargo install cargo-fuzz), so nothing was led by coverage"
    exit 0
}
# libFuzzer's instruments are switches of the nightly compiler; the stable one has them too, if it is told to.
export RUSTC_BOOTSTRAP=1
[ ${#targets[@]} -gt 0 ] || targets=(frames messages parcels codec ring weather arguments)
for target in "${targets[@]}"; do
    mkdir -p "$target_dir/fuzz/corpus/$target"
    # The first folder is the one that grows.
    cargo fuzz run --fuzz-dir tests/fuzz --target-dir "$target_dir/libfuzzer" "$target" \
        "$target_dir/fuzz/corpus/$target" "tests/fuzz/corpus/$target" -- \
        -max_total_time="${amount:-60}" -timeout=10 -rss_limit_mb=4096 -max_len=4096 -print_final_stats=1
done
