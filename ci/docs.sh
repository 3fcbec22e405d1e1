#!/usr/bin/env bash
# The documentation builds without a warning, and its links lead somewhere. Its programs run in ci/test.sh: they are part of
# `cargo test`.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# RUSTDOCFLAGS, not RUSTFLAGS: warnings of rustdoc itself (a dead link), without rebuilding the dependencies.
# --document-private-items: a broken link in an internal comment misleads a maintainer just as much. First, so that
# the target folder ends up with the documentation that users see.
RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
    cargo doc --package concurrent-futures --no-deps --all-features --document-private-items
RUSTDOCFLAGS="-D warnings" cargo doc --package concurrent-futures --package concurrent-futures-redis --no-deps --all-features

# The README links to every file in docs/, and every relative link leads somewhere.
status=0
for page in *.md docs/*.md concurrent-futures-redis/*.md tests/README.md ci/README.md ci/long/README.md; do
    dir=$(dirname "$page")
    # `](target)` without a scheme; the part after # is a heading, not a file.
    while read -r target; do
        if [ -n "$target" ] && [ ! -e "$dir/$target" ]; then
            echo "$page: link to $target leads nowhere" >&2
            status=1
        fi
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed -E 's/^\]\(//; s/\)$//; s/#.*$//' | grep -vE '^[a-z]+:' || true)
done
for page in docs/*.md; do
    grep -qF "($page)" README.md || { echo "README.md doesn't link to $page" >&2; status=1; }
done
exit $status
