#!/usr/bin/env bash
# Every file is formatted as rustfmt.toml says.
set -euo pipefail
source "$(dirname "$0")/common.sh"

cargo fmt --all -- --check
