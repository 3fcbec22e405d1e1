# rule: ... and no longer once callbacks turn up
# file: src/thread_pool/worker.rs
# tests: loom a_long_callback
s/self.queue.returns_later();//
s/^        CountedAs::Active$/        CountedAs::Returning/
