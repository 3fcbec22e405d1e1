# rule: closing tells those who wait for a place
# file: src/thread_pool/queue/shutdown.rs
# tests: loom full_queue_shutdown
s/std::mem::take(&mut state.place_waiters).into_values().for_each(|waiter| waiter.hub.ring());//
