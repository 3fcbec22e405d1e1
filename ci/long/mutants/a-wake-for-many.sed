# rule: a wake-up is taken by one only
# file: src/thread_pool/queue.rs
# tests: loom queue:: waiting::
s/^                state.lower(|state| &mut state.wakes, 1);$//
