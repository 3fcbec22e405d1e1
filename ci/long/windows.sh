#!/usr/bin/env bash
# The tests built for Windows and run under Wine: threads and pools of processes.
#
# ci/long/windows.sh [lib|it|deaths|programs|stress|examples|redis|cluster ...] [-- tests whose name contains this]
#
# `lib` are the unit tests, `it` how the crate behaves, `deaths` what becomes of a pool whose workers or whose parent die,
# `programs` and `stress` those of tests/model; `examples` are the two cases, which resize pictures and fetch weather. `redis` are
# the tests of the executor over machines that need no server; `cluster` is its example, whose client and nodes run under Wine
# over a server of this system, where one is installed, and of which one node is killed. The target needn't be installed:
# otherwise the standard library is built (ci/rust-src.sh). mingw-w64 links, and Wine runs, both of which are installed by apt
# if that can be.
#
# Wine isn't Windows: what it shows is that nothing rests on Unix, and that the ways of waiting there lose nothing. Which tests
# exist there and which don't is compared with this system's: none is lost unseen.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

binaries=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    lib | it | deaths | programs | stress | examples | redis | cluster) binaries+=("$1") ;;
    *) echo "no such tests here: $1; lib, it, deaths, programs, stress, examples, redis or cluster" >&2; exit 2 ;;
    esac
    shift
done
[ ${#binaries[@]} -gt 0 ] || binaries=(lib it deaths programs stress examples redis cluster)
filter="${2:-}"
triple=x86_64-pc-windows-gnu
logs=$target_dir/windows
mkdir -p "$logs"

# What doesn't exist on Windows; each says why where it is.
only_here=(
    ends::a_workers_thread_locals_destructor_may_use_its_pool
    ends::from::a_thread_locals_destructor
    ends::from::a_workers_thread_locals_destructor
)
# What isn't run there. Wine keeps no limit on the memory of a job; a test gives a fill of an input 100 us; and in one several
# processes append to a file, for which Wine seeks and writes, so that some of what they write is written over.
left_out=(too_much_memory that_cannot_be_had input_is_taken_on_the_consumers_thread with_connections_cut_each_task_begins_once)
skips=()
for name in "${left_out[@]}"; do skips+=(--skip "$name"); done

# Debian's package has no program on the path.
find_wine() { command -v wine64 || command -v /usr/lib/wine/wine64 || command -v wine; }
if ! command -v x86_64-w64-mingw32-gcc >/dev/null || ! find_wine >/dev/null; then
    echo "mingw-w64 or Wine isn't installed: trying apt-get"
    packages=(gcc-mingw-w64-x86-64-win32 wine64)
    install() { apt-get install -y --no-install-recommends "${packages[@]}"; }
    { install || { apt-get update && install; }; } || {
        skip "windows: mingw-w64 or Wine is missing (as root: apt-get install -y ${packages[*]}), so nothing has run on Windows"
        exit 0
    }
fi
build=()
if [ ! -e "$(rustc --print sysroot)/lib/rustlib/$triple" ]; then
    rebuild_std || {
        skip "windows: neither is the target installed (rustup target add $triple), nor can it be built, so nothing has run on Windows"
        exit 0
    }
    # Optimised a little: half of what a test does is the standard library's.
    build=("-Zbuild-std=std,panic_unwind,test")
    for part in std core alloc; do build+=(--config "profile.dev.package.$part.opt-level=1"); done
fi

# A Windows of its own. No part of it that asks for a display or the network, or that looks into what crashed.
wine=$(find_wine)
export WINEPREFIX=$logs/prefix WINEDEBUG=-all HOME=${HOME:-$logs}
export WINEDLLOVERRIDES="mscoree,mshtml=;winemenubuilder.exe,winedbg.exe=d"
unset DISPLAY
# By it Wine translates names of files.
export LC_ALL=C.UTF-8
if [ ! -e "$WINEPREFIX/complete" ]; then
    rm -rf "$WINEPREFIX"
    "$wine" wineboot --init >"$logs/wineboot.log" 2>&1
    # Rust's standard library asks this one for random numbers. Wine has it from version 9 on; it gives them by another name.
    library=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
    if [ ! -e "$library" ]; then
        cat >"$logs/bcryptprimitives.c" <<'C'
unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size);
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *buffer, unsigned long long size) {
    return SystemFunction036(buffer, (unsigned long)size);
}
C
        x86_64-w64-mingw32-gcc -shared -o "$library" "$logs/bcryptprimitives.c" -ladvapi32
    fi
    touch "$WINEPREFIX/complete"
fi

export RUST_BACKTRACE=0 TEST_PATIENCE=10
failed=0
fail() {
    echo "windows: $*" >&2
    failed=1
}

# The two cases on the crate's own data, whose results are looked at here.
run_examples() {
    local programs=$logs/target/$triple/debug/examples out=$logs/examples
    cargo build --quiet "${build[@]}" --target "$triple" --target-dir "$logs/target" --package concurrent-futures \
        --example xray_resize --example weather_fetch
    rm -rf "$out"
    mkdir -p "$out"
    timeout 300 "$wine" "$programs/xray_resize.exe" --images 24 --cache "$out/xrays" --out "$out/xrays.npy" \
        --contact-sheet "$out/xrays.png" >"$out/xray_resize.txt" || fail "xray_resize"
    grep -a '^processes ' "$out/xray_resize.txt" || fail "xray_resize has no figures"
    [ "$(head -c 6 "$out/xrays.npy" | tail -c 5)" = NUMPY ] || fail "xray_resize wrote no pictures"
    timeout 300 "$wine" "$programs/weather_fetch.exe" --days 12 --latency 0.1 --interval 60 --sequential 2 \
        --out "$out/weather.json" >"$out/weather_fetch.txt" || fail "weather_fetch"
    grep -a '^12 days ' "$out/weather_fetch.txt" || fail "weather_fetch has no figures"
    [ -s "$out/weather.json" ] || fail "weather_fetch wrote no weather"
}

# The executor over machines: three nodes, of which one is killed when a quarter of the pictures are made. Which task began where
# isn't looked at, because the log that says so is appended to by all (see above).
run_cluster() {
    local program=$logs/target/$triple/debug/examples/xray_cluster.exe out=$logs/cluster images=1431 server client port url node
    if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
        skip "windows: no redis-server and redis-cli (as root: apt-get install -y redis-server), so no node has run under Wine"
        return
    fi
    cargo build --quiet "${build[@]}" --target "$triple" --target-dir "$logs/target" --package concurrent-futures-redis \
        --example xray_cluster
    mkdir -p "$out"
    port=$((20000 + RANDOM % 20000)) url=redis://127.0.0.1:$port
    # Of the tasks that the server knows to be done.
    done_so_far() {
        redis-cli -p "$port" info commandstats | tr -d '\r' | sed -n 's/^cmdstat_xack:calls=\([0-9]*\).*/\1/p'
    }
    redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no --dir "$out" >"$out/server.txt" &
    server=$!
    for node in 1 2 3; do
        timeout 300 "$wine" "$program" redis-node "$url" --queue xrays --slots 1 --lease 2 >"$out/node-$node.txt" 2>&1 &
        # Their ends are no news.
        disown
    done
    timeout 300 "$wine" "$program" --images "$images" --url "$url" --cache "$out/xrays" >"$out/client.txt" 2>&1 &
    client=$!
    while kill -0 "$client" 2>/dev/null; do
        if [ "$(done_so_far || true)" -gt $((images / 4)) ] 2>/dev/null; then
            # Neither a worker, which has its program by its name in Windows, nor `timeout`.
            pkill -KILL --newest --full "^$program redis-node $url" || fail "no node could be killed"
            break
        fi
        sleep 0.1
    done
    wait "$client" || fail "the client of the cluster"
    grep -a "^$images of .* pictures made .* not asked for: 0\$" "$out/client.txt" || fail "cluster: not every picture was made"
    grep -a -q ' 0 lost with the node' "$out/client.txt" && fail "cluster: no task was lost with the node that was killed"
    redis-cli -p "$port" shutdown nosave 2>/dev/null || true
    wait "$server" || true
    pkill -KILL --full "redis-node $url" || true
}

for binary in "${binaries[@]}"; do
    case $binary in
    lib) package=system-tests target=(--lib) folder=tests/systems ;;
    it | deaths) package=system-tests target=(--test "$binary") folder=tests/systems ;;
    redis) package=concurrent-futures-redis target=(--lib) folder=concurrent-futures-redis ;;
    examples) run_examples; continue ;;
    cluster) run_cluster; continue ;;
    *) package=model-tests target=(--test "$binary") folder=tests/model ;;
    esac
    options=(test --no-run --package "$package" "${target[@]}" --target-dir "$logs/target")
    program=$(built "${options[@]}" "${build[@]}" --target "$triple")
    names() { tr -d '\r' | sed -n 's/: test$//p' | sort; }
    there=$("$wine" "$program" --list | names)
    if [ "$binary" = it ]; then
        here=$("$(built "${options[@]}")" --list | names)
        lost=$(comm -23 <(echo "$here") <(echo "$there"))
        [ "$lost" = "$(printf '%s\n' "${only_here[@]}" | sort)" ] ||
            fail "$(printf 'other tests than expected are missing there:\n%s' "$lost")"
    fi
    log=$logs/$binary.log
    status=0
    (cd "$folder" && timeout 1500 "$wine" "$program" --test-threads 4 "${skips[@]}" "$filter") >"$log" 2>&1 || status=$?
    grep -a -e '^test result' -e '\.\.\. FAILED' -e 'it hangs' "$log" || true
    grep -a -o -e '^test .* \.\.\. ignored.*' "$log" || true
    # Not by the tests' lines, in which Wine writes as well.
    result() { tr -d '\r' <"$log" | sed -n "s/^test result:.* \([0-9]*\) $1;.*/\1/p"; }
    exist=$(wc -l <<<"$there") passed=$(result passed) ignored=$(result ignored)
    passed=${passed:-0} ignored=${ignored:-0}
    skipped=$(grep -c -F "$(printf '%s\n' "${left_out[@]}")" <<<"$there" || true)
    echo "$binary: $exist tests exist there, $passed passed, $ignored are ignored, $skipped left out"
    # Fewer that pass are as wrong as one that fails.
    [ -n "$filter" ] || [ "$exist" -eq $((passed + ignored + skipped)) ] || fail "$binary: some tests have no verdict"
    [ "$status" -eq 0 ] || fail "$binary: FAILED, exit code $status; the whole log is $log"
done
# Wine's server stays for a while otherwise.
"$wine" wineboot --kill >/dev/null 2>&1 || true
exit "$failed"
