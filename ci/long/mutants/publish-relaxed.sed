# rule: who sees the phase sees the outcome
# file: src/future/state.rs
# tests: loom what_the_task_did
/fn publish/,/^    }/ s/Ordering::AcqRel/Ordering::Relaxed/
