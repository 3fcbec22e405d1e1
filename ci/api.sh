#!/usr/bin/env bash
# The public interface of the crate is what docs/public-api.txt lists, and that of concurrent-futures-redis what
# docs/public-api-redis.txt lists, so that a review shows each change of them. A feature only adds to it: every line that is there
# without features is there with all. Of other crates it has only serde's traits and, with feature `stream`, futures-core's, and concurrent-futures-redis those of
# concurrent-futures.
#
#   ci/api.sh            compares
#   ci/api.sh --update   rewrites the files
set -euo pipefail
source "$(dirname "$0")/common.sh"

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

# face PACKAGE LISTING FEATURES FILE
face() {
    local package=$1 listing=$2 features=$3 file=$4
    # Links are ci/docs.sh's: without features some lead nowhere.
    cargo rustdoc --quiet --package "$package" --lib "$features" -- -A rustdoc::broken_intra_doc_links \
        -Z unstable-options --output-format json
    # With a configured `build.target` it lies one folder further down; an old one may lie in either.
    local json status=0
    json=$(find "$target_dir" -maxdepth 3 -path "*/doc/${package//-/_}.json" -exec ls -t {} + | head -n 1)
    cargo run --quiet --package ci-api -- "$json" >"$file" || status=$?
    # Another compiler's format.
    if [ "$status" = 3 ]; then
        skip "api: $("$REAL_RUSTDOC" --version) writes a format that ci/api doesn't read, so nobody compared the public face with $listing"
        exit 0
    fi
    return "$status"
}

# compare PACKAGE LISTING CRATES: those that its items may name.
compare() {
    local package=$1 listing=$2 crates=$3
    local none=$out/$package-none.txt all=$out/$package-all.txt
    face "$package" "$listing" --no-default-features "$none"
    face "$package" "$listing" --all-features "$all"

    if [ "$update" = --update ]; then
        cp "$all" "$listing"
    elif ! diff -U0 "$listing" "$all"; then
        echo "the public face has changed (- listed, + found): if that is meant, ci/api.sh --update, and the CHANGELOG" >&2
        return 1
    fi

    local changed foreign
    changed=$(comm -23 <(sort "$none") <(sort "$all"))
    if [ -n "$changed" ]; then
        echo "without features these lines are there, and with all they aren't:" >&2
        echo "$changed" >&2
        return 1
    fi
    # Their next major version would be ours.
    foreign=$(grep -oE '(^|[^:A-Za-z0-9_])[a-z_][a-z0-9_]*::' "$all" | grep -oE '[a-z_][a-z0-9_]*' | sort -u |
        grep -vxE "$crates" || true)
    if [ -n "$foreign" ]; then
        echo "another crate's items are part of the public face of $package: $foreign" >&2
        return 1
    fi
    echo "$package: $(wc -l <"$listing") lines, $(wc -l <"$none") of them without any feature"
}

update=${1:-}
compare concurrent-futures docs/public-api.txt 'concurrent_futures|core|alloc|std|serde_core|futures_core'
compare concurrent-futures-redis docs/public-api-redis.txt 'concurrent_futures|concurrent_futures_redis|core|alloc|std'
