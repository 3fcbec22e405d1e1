#!/usr/bin/env bash
# Removes one rule after another, and checks that a test fails.
#
# ci/long/mutants.sh [name ...]
#
# Each file in ci/long/mutants/ is one mutant: a comment that names the rule and the tests that must fail (`loom`,
# `stress`, `programs`, `start`, `crash`, `lib` for unit tests, `cases` for the fuzzed ones, `cells` for those that count
# memory, and filters), then what it changes in src/: ci/mutants/src/mutant.rs describes the format. A mutant runs in a
# copy of the tree. What is expected to survive says so, and why. Not through after MUTANT_SECONDS is neither caught nor
# survived: loom finds deadlocks and the stress tests end by themselves. What it changes must stand in src/ exactly once, or
# the code has moved on.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
root=$PWD
filters="${*:-}"
seconds="${MUTANT_SECONDS:-600}"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT INT TERM
tar -c --exclude=./target --exclude="./${target_dir#"$root"/}" --exclude=./.git . | tar -x -C "$copy"
export CARGO_TARGET_DIR="${MUTANT_TARGET_DIR:-$target_dir/mutants}"
# Built once each: what more optimizing gains is lost by waiting for it.
quick="--config profile.dev.package.loom-models.debug=0 --config profile.dev.package.loom-models.opt-level=1"
mutate=$(built build --package ci-mutants)
# What a mutant is undone from: copied anew, it is newer than what was built, or cargo takes the mutant for the original.
cp -r "$copy/src" "$copy/original"

say() { printf '%-34s %-9s %s\n' "$1" "$2" "$3"; }

failures=0
for mutant in "$root"/ci/long/mutants/*.mutant; do
    name=$(basename "$mutant" .mutant)
    case " ${filters:-$name} " in *" $name "*) ;; *) continue ;; esac
    suite=$(sed -n 's/^# tests: \([a-z]*\).*/\1/p' "$mutant")
    tests=$(sed -n 's/^# tests: [a-z]* *//p' "$mutant")
    expected=$(sed -n 's/^# expect: //p' "$mutant")
    case "$suite" in
    loom) package=loom-models target="--test models" ;;
    stress | programs) package=model-tests target="--test $suite" ;;
    start) package=start target="--test start" ;;
    crash) package=concurrent-futures target="--test crash" ;;
    lib) package=concurrent-futures target=--lib ;;
    cases) package=fuzz-tests target="--bin cases" ;;
    cells) package=internal-tests target="--test cells" ;;
    *) echo "$mutant: no suite" >&2; exit 2 ;;
    esac
    if ! files=$("$mutate" apply "$copy/src" "$mutant"); then
        say "$name" STALE "it does not fit src/"
        failures=$((failures + 1))
        continue
    fi
    log="$copy/$name.log"
    # shellcheck disable=SC2086 # two words
    if ! (cd "$copy" && cargo test $quick -q -p "$package" $target --no-run) > "$log" 2>&1; then
        say "$name" BROKEN "it does not compile: $(grep -m1 '^error' "$log" || true)"
        failures=$((failures + 1))
    else
        status=0
        # shellcheck disable=SC2086 # several words each
        (cd "$copy" && timeout "$seconds" cargo test $quick -q -p "$package" $target -- $tests) \
            > "$log" 2>&1 || status=$?
        why=$(grep -a -m1 -e 'model FAILED' -e '^test .* FAILED' -e 'panicked at' -e 'not through' "$log" || true)
        case "$status" in
        0) result=survived ;;
        124) result=timeout ;;
        *) result=caught ;;
        esac
        say "$name" "$result" "$why"
        if [ "$result" != "${expected:-caught}" ]; then
            failures=$((failures + 1))
        fi
    fi
    for file in $files; do cp "$copy/original/$file" "$copy/src/$file"; done
done
exit $((failures > 0))
