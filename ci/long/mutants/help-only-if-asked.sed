# rule: ... although a push need not ask then
# file: src/thread_pool/queue/section.rs
# tests: loom spare full_queue_no_spare
s/let stuck = self.is_stuck(state);/let stuck = ask \&\& self.is_stuck(state);/
