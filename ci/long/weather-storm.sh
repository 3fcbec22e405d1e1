#!/usr/bin/env bash
# 10 000 days fetched by 64 threads through a storm: one answer in ten is faulty, in eleven ways, and the server is
# unreachable once a second. Every day must be right or reported, none twice. Prints the counts.
#
# ci/long/weather-storm.sh [days]
#
# Less than a minute, and the build.
set -euo pipefail
source "$(dirname "$0")/../common.sh"
WEATHER_STORM="${1:-10000}" cargo test --release --test weather storm:: -- --nocapture
