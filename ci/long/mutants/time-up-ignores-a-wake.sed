# rule: a sleeper whose time is up takes a wake-up that is out
# file: src/thread_pool/queue/section.rs
# tests: stress idle_workers mixed_any
s/if timed_out && state.wakes == 0 && /if timed_out \&\& /
