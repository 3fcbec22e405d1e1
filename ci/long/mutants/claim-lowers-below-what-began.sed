# rule: a limit is never lowered below what has begun
# file: src/process_pool/shared.rs
# tests: loom claim::
s/limit: to.max(now.begun), /limit: to, /
