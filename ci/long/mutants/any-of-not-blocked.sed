# rule: any-of, timed and deep waits count as blocked
# file: src/thread_pool/waiting.rs
# tests: loom any_of timed
s/if what.concerns(self.queue.id) {/if what.needs_all() \&\& deadline.is_none() \&\& what.concerns(self.queue.id) {/
