#!/usr/bin/env bash
# The scripts also work on differently configured machines: from another folder, with another locale, colours, a proxy, no
# HOME. First the scripts are searched, then the quickest of them run so. ci/long/elsewhere.sh has the checks that build, a
# clone with a space in its path, and another target folder.
set -euo pipefail
source "$(dirname "$0")/common.sh"

status=0
# complain WHAT LINES: nothing if there are no lines.
complain() {
    [ -z "$2" ] && return
    printf '%s:\n%s\n' "$1" "$2" >&2
    status=1
}

scripts=(.ci/run ci/*.sh ci/long/*.sh benches/*/*.sh)
# In a path: not a word of a text, and not behind $ or /, where a variable or another folder stands.
complain "a script looks into target/ by name, which lies elsewhere for others: use \$target_dir, or built (ci/common.sh)" \
    "$(grep -nE '(^|[^[:alnum:]_$}/.-])(\./|\.\./)*target/' "${scripts[@]}" | grep -vE '^[^:]+:[0-9]+: *#' |
        grep -v '^ci/elsewhere.sh:' || true)"
complain "a program looks into target/ by name: ask where it lies itself (std::env::current_exe)" \
    "$(grep -rnE '"(\.\./)*(\./)?target(/[^<]|")' --include='*.rs' benches tests examples ci | grep -vE '^[^:]+:[0-9]+: *//' |
        grep -v 'unwrap_or(Path::new("target"))' || true)"
for script in "${scripts[@]}"; do
    [ "$script" = ci/common.sh ] || grep -qE '^source "\$\(dirname "\$0"\)/.*common\.sh"$' "$script" ||
        complain "a script doesn't go to the root by ci/common.sh, so it runs from there alone" "$script"
    bash -n "$script" || status=1
done
complain "what cargo says to people is read: colours and texts differ, so use built (ci/common.sh)" \
    "$(grep -nE 'sed .*Executable|--message-format[ =]short' "${scripts[@]}" | grep -v '^ci/elsewhere.sh:' || true)"

# The proxy below leads nowhere: what cargo would fetch is there before.
cargo fetch --quiet --locked

# What each is given, beside a folder that is not ours.
home=${HOME:-~}
others=(env -u HOME CDPATH=/:/tmp LC_ALL=de_DE.UTF-8 LANGUAGE=tr TERM=dumb NO_COLOR=1 CARGO_TERM_COLOR=always
    http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 RUST_BACKTRACE=full
    CARGO_HOME="${CARGO_HOME:-$home/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}")
root=$PWD
for name in fmt mutants dependencies; do
    echo "elsewhere: $name"
    said=$(cd / && umask 077 && "${others[@]}" bash "$root/ci/$name.sh" 2>&1) || complain "ci/$name.sh fails elsewhere" "$said"
done
# And by a path that begins with neither / nor the root.
said=$(cd docs && "${others[@]}" bash ../ci/fmt.sh 2>&1) || complain "../ci/fmt.sh fails" "$said"
exit $status
