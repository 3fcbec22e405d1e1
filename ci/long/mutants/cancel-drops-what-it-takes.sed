# rule: shutdown(cancel) resolves what it takes out
# file: src/thread_pool/queue/shutdown.rs
# tests: loom shutdown_cancels
s/let cancelled = self.resolve(taken, /drop(taken); let cancelled = self.resolve(Vec::new(), /
