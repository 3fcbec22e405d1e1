# rule: a task cancelled or run in place gives its place back
# file: src/thread_pool/queue/dead.rs
# tests: loom full_queue
/fn forget/,/^    }/ s/self.release_place(&mut state);//
