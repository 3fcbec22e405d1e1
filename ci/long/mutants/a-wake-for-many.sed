# rule: a wake-up is taken by one only
# file: src/thread_pool/queue/section.rs
# tests: loom queue:: waiting::
s/^                state.lower(|state| &mut state.wakes, 1);$//
