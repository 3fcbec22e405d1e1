# rule: leave() counts after it has stored `ask`
# file: src/thread_pool/queue/section.rs
# tests: loom two_producers one_producer
s/let in_inbox = self.store_ask(state, ask);/let in_inbox = self.inbox.lock().queue.len(); self.store_ask(state, ask);/
