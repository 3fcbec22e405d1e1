#!/usr/bin/env bash
# The tests under a sanitizer, which watches the parent and each worker.
#
# ci/long/sanitizers.sh thread|address|leak [lib|it|delays|crash|programs|stress|kept ...] [-- tests whose name contains this]
#
# `lib` are the unit tests, `it` how the crate behaves, `delays` the same with a delay at every lock, atomic operation and
# message: more orders of events to look at. `crash` is what deaths cost, `programs` and `stress` are those of tests/model.
# A worker is the same program; what the sanitizer says of one ends it: its task fails, and with it the test.
#
# Cells come from the program's allocator, since in memory that the crate uses again no sanitizer sees which cell is freed.
# With `kept` they come from that memory, as they do for users: what is looked at then is the memory itself.
#
# Sanitizers are unstable in the compiler. The standard library is compiled with them as well (ci/rust-src.sh), so
# ThreadSanitizer sees what happens before what inside it, and nothing is suppressed.
#
# Of the packages that have the first four tests/delays depends on the least.
#
# Left out are tests of a few kinds: those that bound or weigh memory, of which a sanitizer takes terabytes for itself;
# those that measure the stack or go to its end, since its frames are several times as large; under ThreadSanitizer long
# ones of a single thread; and one of a rule for items that are short, which none is here.
set -euo pipefail
source "$(dirname "$0")/../common.sh"

kind="${1:?thread, address or leak}"
shift
binaries=() cells="concurrent_futures_system_memory" title=$kind
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
    lib | it | delays | crash | programs | stress) binaries+=("$1") ;;
    kept) cells="" title=$kind-kept ;;
    *) echo "no such tests here: $1; lib, it, delays, crash, programs or stress" >&2; exit 2 ;;
    esac
    shift
done
[ ${#binaries[@]} -gt 0 ] || binaries=(lib it delays crash programs stress)
filter="${2:-}"
case $kind in
thread | address | leak) ;;
*) echo "no such sanitizer here: $kind; thread, address or leak" >&2; exit 2 ;;
esac
# Without it no report is left out by its name.
command -v llvm-symbolizer >/dev/null || {
    echo "llvm-symbolizer is missing: apt-get install llvm" >&2
    exit 1
}
host=$(rustc -vV | sed -n 's/^host: //p')
left_out=(
    # The address space, or the memory in use.
    too_much_memory a_worker_that_has_grown that_cannot_be_had memory_past_the_limit workers_that_cannot_start
    eats_memory cancel_behind_a_long_task a_bounded_address_space values_that_find_no_shared_memory
    # The stack. Under AddressSanitizer the addresses of a function's own values aren't in it.
    stack::tests::
    a_long_chain_of_nested more_blocked_waiters_than a_chain_of_100_000 a_chain_on_a_worker stack_overflow
    small_stack stack_size room_runs_out stack_nearly_spent deep_chain_spares_run_out
    # How short an item is, and how soon done.
    short_items_share_tasks input_is_taken_on_the_consumers_thread
)
# A single thread that takes minutes, because each of millions of accesses is noted.
if [ "$kind" = thread ]; then
    left_out+=(whole_chunks_go an_idle_worker_keeps_little without_a_build_id_the_contents)
fi
skips=()
for name in "${left_out[@]}"; do skips+=(--skip "$name"); done

rebuild_std || {
    skip "sanitizers: without that source no sanitizer has looked at anything"
    exit 0
}
export RUSTFLAGS="-Zsanitizer=$kind -Cforce-frame-pointers=yes"
# Only for what has the cells: so the rest is not compiled again for `kept`.
config=()
for package in concurrent-futures delayed-tests; do
    [ -z "$cells" ] || config+=(--config "profile.dev.package.$package.rustflags=['--cfg', '$cells']")
done
logs=$target_dir/sanitizers
mkdir -p "$logs"
# Workers die of these signals on purpose, and as the kernel sees it.
signals="handle_segv=0 handle_sigbus=0 handle_abort=0 handle_sigill=0 handle_sigfpe=0 handle_sigtrap=0"
export ASAN_OPTIONS="$signals detect_leaks=1 allocator_may_return_null=1 log_path=stderr"
export LSAN_OPTIONS="$signals suppressions='$PWD/ci/long/sanitizers-leak.supp' print_suppressions=0"
export TSAN_OPTIONS="$signals halt_on_error=0 exitcode=66 atexit_sleep_ms=0 second_deadlock_stack=1"
export RUST_BACKTRACE=0 TEST_PATIENCE=10

failed=0
for binary in "${binaries[@]}"; do
    settings=()
    case $binary in
    # Deeply nested calls, in frames that are larger here.
    lib) package=delayed-tests target=(--lib) settings=(RUST_MIN_STACK=67108864) ;;
    it | crash) package=delayed-tests target=(--test "$binary") ;;
    delays) package=delayed-tests target=(--test it) settings=(CONCURRENT_FUTURES_DELAYS=1) ;;
    *) package=model-tests target=(--test "$binary") ;;
    esac
    program=$(built test -Zbuild-std=std,panic_unwind,test -Zprofile-rustflags "${config[@]}" --target "$host" \
        --target-dir "$logs/$kind" --no-run --package $package "${target[@]}")
    log=$logs/$title-$binary.log
    status=0
    (cd tests/delays && timeout 580 env "${settings[@]}" "$program" --test-threads 4 "${skips[@]}" "$filter") >"$log" 2>&1 || status=$?
    grep -a -e '^test result' -e '\.\.\. FAILED' -e '^SUMMARY' -e 'it hangs' "$log" || true
    if [ "$status" -ne 0 ] || grep -qa -e '^SUMMARY: ' -e 'it hangs' "$log"; then
        echo "$title, $binary: FAILED, exit code $status; the whole log is $log" >&2
        failed=1
    else
        echo "$title, $binary: nothing found"
    fi
done
exit "$failed"
