# rule: a refused thread gives its slot back
# file: src/thread_pool/queue/threads.rs
# tests: loom refused no_spare
/fn refused/,/^    }/ s/state.lower(|state| &mut state.threads, 1);//
