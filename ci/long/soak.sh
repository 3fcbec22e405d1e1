#!/usr/bin/env bash
# All storms at once, for some minutes; memory and descriptors over time as a plot.
#
# ci/long/soak.sh [minutes] [plot.svg]      8 minutes and soak.svg in the target folder without arguments
#
# docs/reliability.svg is that of 30 minutes: ci/long/soak.sh 30 docs/reliability.svg
set -euo pipefail
source "$(dirname "$0")/../common.sh"
minutes="${1:-8}"
out="${2:-$target_dir/soak.svg}"
program=$(built build --quiet --release --example soak)
# A hang is a failure too: five minutes past the time.
timeout "$(awk "BEGIN { print int(60 * $minutes) + 300 }")" "$program" --minutes "$minutes" --out "$out"
