#!/usr/bin/env bash
# Compares the speed of two revisions: runs the peers of both in turn. A tool, not a check: it gives no verdict.
#   ci/bench-compare.sh REV [REV2] [--rounds N] [-- arguments of peers]
# Without REV2 the other side is the working tree. docs/benchmarks.md explains the table.
set -euo pipefail
source "$(dirname "$0")/common.sh"

wrong() {
    echo "bench-compare: $*" >&2
    sed -n '3p' "${BASH_SOURCE[0]}" | sed 's/^# */usage: /' >&2
    exit 2
}

revisions=() rounds=5
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
        --rounds)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || wrong "--rounds wants a number from 1"
            rounds=$2
            shift
            ;;
        -*) wrong "what is $1? Arguments of peers stand behind --" ;;
        *) revisions+=("$1") ;;
    esac
    shift
done
if [ $# -gt 0 ]; then shift; fi
measure=("$@")
[ $# -gt 0 ] || measure=(threads --subjects ours)
[[ ${measure[0]} =~ ^(threads|processes|xray)$ ]] || wrong "peers knows no \"${measure[0]}\": threads, processes or xray"
for argument in "${measure[@]}"; do
    case $argument in
        --rounds | --rounds=* | --json) wrong "$argument is this script's: give --rounds before --" ;;
    esac
done
[ ${#revisions[@]} -ge 1 ] || wrong "which revision?"
[ ${#revisions[@]} -le 2 ] || wrong "two revisions at most"

# All names first: a build takes minutes.
hashes=()
for revision in "${revisions[@]}"; do
    hashes+=("$(git rev-parse --verify --quiet --short=12 "$revision^{commit}")") || wrong "no revision \"$revision\""
done

kept=$target_dir/bench-compare
out=$(mktemp -d)
trees=()
for hash in "${hashes[@]}"; do trees+=("$kept/$hash/tree"); done
trap 'rm -rf "$out" "${trees[@]}"' EXIT

# Builds the peers of a revision, and says where they are; what it has built lies in a folder of its own, so that a second
# time is quick.
build() {
    local tree=$kept/$1/tree
    rm -rf "$tree"
    mkdir -p "$tree"
    # Not `git worktree`: an archive's files are as old as the commit, so cargo sees that what it built is still good.
    git archive "$1" | tar -x -C "$tree"
    echo "building $1" >&2
    (cd "$tree" && CARGO_TARGET_DIR=.. built build --release --package peers)
}

# Both are read by name, as ${!side}.
# shellcheck disable=SC2034
before=$(build "${hashes[0]}")
# Of the working tree in any case: it has the comparison.
echo "building the working tree" >&2
ours=$(built build --release --package peers)

now=$ours
named=("$(git log -1 --format='%h %s' "${hashes[0]}")" "the working tree")
if [ ${#hashes[@]} = 2 ]; then
    # shellcheck disable=SC2034
    now=$(build "${hashes[1]}")
    named[1]=$(git log -1 --format='%h %s' "${hashes[1]}")
fi

for ((round = 1; round <= rounds; round++)); do
    echo "round $round of $rounds" >&2
    # Turned round each time, so that neither always comes after the other.
    sides=(before now)
    if ((round % 2 == 0)); then sides=(now before); fi
    for side in "${sides[@]}"; do
        "${!side}" "${measure[@]}" --rounds 1 --json >>"$out/$side"
    done
done

printf 'before: %s\nnow: %s\n\n' "${named[@]}"
"$ours" compare "$out/before" "$out/now"
