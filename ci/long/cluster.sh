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
CLUSTER_ROUNDS="${1:-20}"
export CLUSTER_ROUNDS
cargo test --package concurrent-futures-redis --lib -- --ignored --skip _main --test-threads 1 "faults::${2:-}"
