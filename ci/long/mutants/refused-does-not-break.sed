# rule: no thread at all breaks the pool
# file: src/thread_pool/queue/threads.rs
# tests: loom no_thread_at_all
/fn refused/,/^    }/ s/if left == 0 {/if left == usize::MAX {/
