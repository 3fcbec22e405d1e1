# rule: closing tells those who wait for a place
# file: src/thread_pool/queue.rs
# tests: loom full_queue_shutdown
s/state.place_waiters.drain(..).for_each(|waiter| waiter.hub.ring());//
