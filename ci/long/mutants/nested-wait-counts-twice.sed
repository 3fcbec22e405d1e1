# rule: a thread that waits within a wait counts as blocked once
# file: src/thread_pool/queue/state.rs
# tests: loom nested
s/if before == 0 && waits > 0 {/if waits > 0 {/
