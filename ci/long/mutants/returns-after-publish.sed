# rule: a worker counts as coming back before it publishes
# file: src/thread_pool/worker.rs
# tests: loom sequential
/^        self.queue.returns();/d
s/let after = ran.publish(.*/&\n        self.queue.returns();/
