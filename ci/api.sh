#!/usr/bin/env bash
# The public interface is what docs/public-api.txt lists, so that a review shows each change of it. A feature only adds to it:
# every line that is there without features is there with all. Of other crates it has only serde's traits.
#
#   ci/api.sh            compares
#   ci/api.sh --update   rewrites the file
set -euo pipefail
source "$(dirname "$0")/common.sh"

listing=docs/public-api.txt

# rustdoc gives JSON only on a nightly compiler or to those who say that they know. Said to rustdoc alone, by a program in
# its place: build scripts ask for the variable, so that a cargo which has it builds half of everything anew, and again
# without it.
out=$target_dir/ci
mkdir -p "$out"
cat >"$out/rustdoc" <<'RUSTDOC'
#!/bin/sh
RUSTC_BOOTSTRAP=1 exec "$REAL_RUSTDOC" "$@"
RUSTDOC
chmod +x "$out/rustdoc"
export REAL_RUSTDOC="${RUSTDOC:-rustdoc}"
export RUSTDOC="$out/rustdoc"

# face FEATURES FILE
face() {
    # Links are ci/docs.sh's: without features some lead nowhere.
    cargo rustdoc --quiet --package concurrent-futures --lib "$1" -- -A rustdoc::broken_intra_doc_links \
        -Z unstable-options --output-format json
    # With a configured `build.target` it lies one folder further down; an old one may lie in either.
    local json status=0
    json=$(find "$target_dir" -maxdepth 3 -path '*/doc/concurrent_futures.json' -exec ls -t {} + | head -n 1)
    cargo run --quiet --package ci-api -- "$json" >"$2" || status=$?
    # Another compiler's format.
    if [ "$status" = 3 ]; then
        skip "api: $("$REAL_RUSTDOC" --version) writes a format that ci/api doesn't read, so nobody compared the public face with $listing"
        exit 0
    fi
    return "$status"
}

face --no-default-features "$out/public-api-none.txt"
face --all-features "$out/public-api.txt"

if [ "${1:-}" = --update ]; then
    cp "$out/public-api.txt" "$listing"
elif ! diff -U0 "$listing" "$out/public-api.txt"; then
    echo "the public face has changed (- listed, + found): if that is meant, ci/api.sh --update, and the CHANGELOG" >&2
    exit 1
fi

changed=$(comm -23 <(sort "$out/public-api-none.txt") <(sort "$out/public-api.txt"))
if [ -n "$changed" ]; then
    echo "without features these lines are there, and with all they aren't:" >&2
    echo "$changed" >&2
    exit 1
fi
# Their next major version would be ours.
foreign=$(grep -oE '(^|[^:A-Za-z0-9_])[a-z_][a-z0-9_]*::' "$out/public-api.txt" | grep -oE '[a-z_][a-z0-9_]*' | sort -u |
    grep -vxE 'concurrent_futures|core|alloc|std|serde_core' || true)
if [ -n "$foreign" ]; then
    echo "another crate's items are part of the public face: $foreign" >&2
    exit 1
fi
echo "$(wc -l <"$listing") lines, $(wc -l <"$out/public-api-none.txt") of them without any feature"
