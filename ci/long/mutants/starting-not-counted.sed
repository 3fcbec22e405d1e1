# rule: a thread that starts counts as coming
# file: src/thread_pool/queue/section.rs
# tests: loom slow_initializers
s/let coming = state.starting.saturating_add(\(.*\));/let coming = \1;/
