# rule: leave() looks at the queue
# file: src/thread_pool/queue/section.rs
# tests: loom sequential
s/let queued = entries.saturating_sub(dead);/let queued = 0 * entries.saturating_sub(dead);/
