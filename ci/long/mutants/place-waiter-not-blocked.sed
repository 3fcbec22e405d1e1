# rule: a worker that waits for a place counts as blocked
# file: src/thread_pool/queue.rs
# tests: loom full_queue_own full_queue_no
s/if own && !std::mem::replace(&mut counted_blocked, true) {/if own \&\& counted_blocked \&\& !std::mem::replace(\&mut counted_blocked, true) {/
