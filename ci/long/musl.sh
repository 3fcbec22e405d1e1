#!/usr/bin/env bash
# The tests with musl as the C library, in static programs, as `--target x86_64-unknown-linux-musl` makes them.
#
# ci/long/musl.sh [lib|it|crash|programs|stress ...] [-- tests whose name contains this]
#
# `lib` are the unit tests, `it` how the crate behaves, `crash` what deaths cost, `programs` and `stress` those of
# tests/model. The target needn't be installed: otherwise the standard library is built (ci/rust-src.sh), and musl and an
# unwinder are fetched as packages (ci/debian.sh).
set -euo pipefail
source "$(dirname "$0")/../common.sh"

binaries=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    lib | it | crash | programs | stress) binaries+=("$1") ;;
    *) echo "no such tests here: $1; lib, it, crash, programs or stress" >&2; exit 2 ;;
    esac
    shift
done
[ ${#binaries[@]} -gt 0 ] || binaries=(lib it crash programs stress)
filter="${2:-}"
triple=$(uname -m)-unknown-linux-musl
logs=$target_dir/musl
mkdir -p "$logs"

# A folder that rustc takes for its own, and that has what programs for musl are linked with. The compiler's own gets
# nothing; what is built for this system, build scripts, doesn't see it.
sysroot() {
    local own=$logs/sysroot/lib/rustlib/$triple/lib/self-contained unpacked=$logs/unpacked package llvm unwinder file
    [ ! -e "$own/complete" ] || return 0
    rm -rf "$logs/sysroot" "$unpacked"
    mkdir -p "$own" "$unpacked"
    package=$(bash ci/debian.sh musl-dev '*') || return
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$unpacked" || return
    # LLVM's: gcc's rests on what only glibc has, and aborts at the first panic.
    for llvm in 19 14; do
        package=$(bash ci/debian.sh "libunwind-$llvm-dev" '*') && break
    done
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$unpacked" || return
    unwinder=$(find "$unpacked" -name libunwind.a | head -n 1)
    [ -n "$unwinder" ] || return
    for file in crt1.o rcrt1.o Scrt1.o crti.o crtn.o libc.a; do
        cp "$(find "$unpacked" -path '*musl*' -name "$file" | head -n 1)" "$own/" || return
    done
    for file in crtbegin.o crtbeginS.o crtend.o crtendS.o; do
        cp "$(cc -print-file-name="$file")" "$own/" || return
    done
    # It was compiled for glibc, with checks.
    cat >"$unpacked/checked.c" <<'C'
#include <stdarg.h>
#include <stdio.h>
int __fprintf_chk(FILE *to, int flag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vfprintf(to, format, arguments);
    va_end(arguments);
    return written;
}
C
    cc -O2 -U_FORTIFY_SOURCE -c "$unpacked/checked.c" -o "$unpacked/checked.o" || return
    cp "$unwinder" "$own/libunwind.a"
    ar rs "$own/libunwind.a" "$unpacked/checked.o" 2>/dev/null || return
    touch "$own/complete"
}

build=()
if [ ! -e "$(rustc --print sysroot)/lib/rustlib/$triple" ]; then
    if ! rebuild_std || ! sysroot; then
        skip "musl: neither is the target installed (rustup target add $triple), nor can it be built, so no test has run with musl"
        exit 0
    fi
    build=("-Zbuild-std=std,panic_unwind,test")
    export RUSTFLAGS="--sysroot $logs/sysroot"
fi

export RUST_BACKTRACE=0 TEST_PATIENCE=10
failed=0
for binary in "${binaries[@]}"; do
    case $binary in
    lib) package=system-tests target=(--lib) ;;
    it) package=system-tests target=(--test it) ;;
    # Megabytes go back and forth in one of them, for which code without any optimisation takes nearly its time limit.
    crash) package=system-tests target=(--test crash --config profile.dev.package.system-tests.opt-level=1) ;;
    *) package=model-tests target=(--test "$binary") ;;
    esac
    program=$(built test "${build[@]}" --target "$triple" --target-dir "$logs/target" --no-run --package $package "${target[@]}")
    # Which C library it is, seen from outside.
    if grep -qa GLIBC_ "$program" || ! grep -qa static <<<"$(file -b "$program" 2>/dev/null || echo static)"; then
        echo "$program isn't musl's" >&2
        failed=1
    fi
    log=$logs/$binary.log
    status=0
    (cd tests/systems && timeout 580 "$program" --test-threads 4 "$filter") >"$log" 2>&1 || status=$?
    grep -a -e '^test result' -e '\.\.\. FAILED' -e 'it hangs' "$log" || true
    [ "$status" -eq 0 ] || {
        echo "musl, $binary: FAILED, exit code $status; the whole log is $log" >&2
        failed=1
    }
done
exit "$failed"
