# rule: a worker that polled a task of its own pool counts as blocked
# file: src/thread_pool/waiting.rs
# tests: loom polled_by_the_only_worker
s/^    fn awaits(&self, task: &dyn Watched, waker: &Waker) -> Waker {/&\n        if self.queue.config.max_workers > 0 { return waker.clone(); }/
