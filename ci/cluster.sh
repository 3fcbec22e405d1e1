#!/usr/bin/env bash
# The executor over machines, against the servers that are here: its tests, and its example with a node that is killed.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# `cargo test` alone runs what needs no server. Here one is installed if there is none.
find_servers() {
    for name in redis-server valkey-server; do command -v "$name" || true; done
}

if ! command -v redis-server >/dev/null; then
    echo "redis-server isn't installed: trying apt-get"
    # Not started as a service: the tests start their own, on ports of their own.
    { apt-get install -y redis-server || { apt-get update && apt-get install -y redis-server; }; } ||
        skip "cluster: no redis-server (as root: apt-get install -y redis-server), so the tests have not seen Redis"
fi
servers=$(find_servers)
if [ -z "$servers" ]; then
    skip "cluster: there is no server here, so nothing was tested but what needs none"
    exit 0
fi
CONCURRENT_FUTURES_REDIS_SERVERS=$(tr '\n' ':' <<<"$servers" | sed 's/:*$//')
export CONCURRENT_FUTURES_REDIS_SERVERS
echo "servers: $CONCURRENT_FUTURES_REDIS_SERVERS"
# The program that `cargo test` has built: for one package alone cargo would choose other features, and build all anew.
tests=$(cargo test --no-run --lib --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*concurrent_futures_redis-[^"]*\)".*/\1/p' | tail -n 1)
# What needs no server is part of `cargo test`.
"$tests" --quiet --skip memory
# Each fault once; ci/long/cluster.sh does each twenty times, and parts networks.
"$tests" --quiet --ignored --skip _main --skip partitions --test-threads 1 faults::

# The example finds its server in PATH.
PATH="$(dirname "$(head -n 1 <<<"$servers")"):$PATH"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT INT TERM
example=$(built build --example xray_cluster)
"$example" --images 60 --cache "$out/xrays" | tee "$out/printed"
grep -q '^60 of 60 pictures made .* not asked for: 0$' "$out/printed"
