# rule: a queued task that is needed is run in place
# file: src/thread_pool/waiting.rs
# tests: loom run_in_place
s/self.run_needed(what);//
