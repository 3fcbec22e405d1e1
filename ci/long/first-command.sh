#!/usr/bin/env bash
# The README's first command from a fresh clone, crates already fetched: the build, 1431 X-rays drawn, all of them resized,
# in less than 3 minutes. Then, with the X-rays there, the run alone: without --release at most twice as long as with it.
#
# What is cloned is the last commit. The machine should have nothing else to do.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

most_seconds=180
most_times=2
rounds=3
command='cargo run --example xray_resize'

grep -qx "$command" README.md || {
    echo "README.md no longer has the line \`$command\`: change ci/long/first-command.sh with it" >&2
    exit 1
}
cargo fetch --locked --quiet

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
git clone --quiet --no-hardlinks . "$place/clone"
cd "$place/clone"
export CARGO_TARGET_DIR=$place/target CARGO_NET_OFFLINE=true

# Seconds of a command, on stdout; what it says itself goes to stderr.
seconds() {
    local start end
    start=$(date +%s%N)
    "$@" >&2 || return
    end=$(date +%s%N)
    awk "BEGIN { printf \"%.2f\", ($end - $start) / 1e9 }"
}

failed=0
verdict() {
    local what=$1 got=$2 most=$3
    if awk "BEGIN { exit !($got <= $most) }"; then echo "$what: $got, at most $most"; else
        echo "$what: $got, MORE THAN $most"
        failed=1
    fi
}

# shellcheck disable=SC2086 # a command and its arguments
first=$(seconds $command)

cargo build --quiet --release --example xray_resize
cache=$CARGO_TARGET_DIR/xray-cache
run() {
    seconds "$CARGO_TARGET_DIR/$1/examples/xray_resize" --cache "$cache"
}

# In turn, so that a busy moment of the machine hits both; the fastest run of each counts.
dev=() release=()
for ((round = 1; round <= rounds; round++)); do
    took=$(run debug)
    dev+=("$took")
    took=$(run release)
    release+=("$took")
done
fastest() {
    printf '%s\n' "$@" | sort -n | head -n 1
}

echo
echo "run alone, seconds: dev ${dev[*]}; release ${release[*]}"
verdict "first command from a fresh clone, seconds" "$first" "$most_seconds"
verdict "dev / release, fastest runs" \
    "$(awk "BEGIN { printf \"%.2f\", $(fastest "${dev[@]}") / $(fastest "${release[@]}") }")" "$most_times"
exit "$failed"
