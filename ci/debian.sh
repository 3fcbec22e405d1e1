#!/usr/bin/env bash
# Fetches a Debian package without installing it, and prints the path of the file; or ends with 1 and the reason.
#
#   ci/debian.sh PACKAGE VERSION-PATTERN [SUITE ...]
#
# By apt, which checks the signature, from the mirror that apt is set up with, but with lists of its own: other suites than
# this system's may be asked, nothing of the system changes, and no root is needed. Without a suite the system's own. The
# pattern is one of bash's; the newest version that fits is taken.
set -euo pipefail
source "$(dirname "$0")/common.sh"

package=$1 pattern=$2
shift 2
fail() {
    echo "$package: $*" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "there is no apt here"
here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
[ $# -gt 0 ] || set -- "$here"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $here" 'Component: main' | head -n 1)
[ -n "$mirror" ] || fail "apt names no mirror of $here"

for suite in "$@"; do
    place=$target_dir/debian/$suite
    mkdir -p "$place/lists/partial" "$place/archives/partial"
    echo "deb $mirror $suite main" >"$place/sources.list"
    options=(-qq -o Dir::Etc::sourcelist="$place/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::Lists="$place/lists" -o Dir::Cache="$place" -o APT::Sandbox::User= -o Acquire::Retries=1
        -o Acquire::http::Timeout=30 -o Acquire::Languages=none)
    # Lists of an hour ago will do.
    if [ -z "$(find "$place/updated" -mmin -60 2>/dev/null)" ]; then
        apt-get "${options[@]}" -o APT::Update::Error-Mode=any update >&2 || continue
        touch "$place/updated"
    fi
    while read -r version; do
        # shellcheck disable=SC2053 # it is a pattern
        [[ $version == $pattern ]] || continue
        # Packages come into the current folder; of one that is there nothing would be printed.
        file=$(cd "$place/lists" && apt-get "${options[@]}" download --print-uris "$package=$version" | awk '{ print $2 }')
        [ -n "$file" ] || continue 2
        [ -e "$place/archives/$file" ] ||
            (cd "$place/archives" && apt-get "${options[@]}" download "$package=$version" >&2) || continue 2
        echo "$place/archives/$file"
        exit
    done < <(apt-cache "${options[@]}" madison "$package" | awk -F ' *[|] *' '{ print $2 }' | sort -rV)
done
fail "no version $pattern in $* of the mirror"
