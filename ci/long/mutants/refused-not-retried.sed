# rule: with no thread left a start is tried although one was refused
# file: src/thread_pool/queue/threads.rs
# tests: loom refused no_thread
# expect: survived
# why: needs a refusal, then a worker that ends idle: loom has no clock, and a real system refuses all or none here
s/is_none_or(Refused::is_over) || state.threads == 0)/is_none_or(Refused::is_over))/
