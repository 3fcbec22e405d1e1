#!/usr/bin/env bash
# The model of the protocol between clients, nodes and the server of a cluster: every scope, and with every rule removed.
# `cargo test` has the fast ones too.
#
# ci/long/cluster-model.sh [tests whose name contains this]
#
# Release: tens of millions of states, up to 3 GB at once. One line a search says how many states there were and what
# was found; a failure prints the steps that lead to it.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
exec cargo test --release -p cluster-model -- --include-ignored --nocapture --test-threads 1 "${1:-}"
