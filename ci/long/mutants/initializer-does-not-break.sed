# rule: a failed initializer breaks the pool
# file: src/thread_pool/queue/threads.rs
# tests: loom initializer_fails
/fn initializer_failed/,/^    }/ s/self.break_pool(state, Closed::Broken(broken));/drop(broken); state.leave();/
