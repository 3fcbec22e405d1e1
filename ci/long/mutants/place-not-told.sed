# rule: whoever waits for a place is told of one
# file: src/thread_pool/queue/bounded.rs
# tests: loom full_queue
/fn release_place/,/^    }/ s/Self::tell_place(state);//
