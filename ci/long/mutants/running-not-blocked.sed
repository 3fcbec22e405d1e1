# rule: a wait for a task that runs elsewhere counts as blocked
# file: src/thread_pool/waiting.rs
# tests: loom waiting_for_one_that_runs
s/if what.concerns(self.queue.id) {/if (!what.needs_all() || deadline.is_some()) \&\& what.concerns(self.queue.id) {/
