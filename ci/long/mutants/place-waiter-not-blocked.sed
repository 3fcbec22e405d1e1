# rule: a worker that waits for a place counts as blocked
# file: src/thread_pool/queue/bounded.rs
# tests: loom full_queue_own full_queue_no
s/if let (Some(slot), false) = (&slot, told) {/if let (Some(slot), false, true) = (\&slot, told, false) {/; s/if let (Some(slot), true) = (&slot, told) {/if let (Some(slot), true, true) = (\&slot, told, false) {/
