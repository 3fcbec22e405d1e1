# rule: ask is read with the push, not before
# file: src/thread_pool/queue/submit.rs
# tests: loom two_producers one_producer
/fn push_unbounded/,/^    }/ {
    s/let mut inbox = self.inbox.lock();/let ask = self.inbox.lock().ask; let mut inbox = self.inbox.lock();/
    s/(inbox.ask, inbox.busy)/(ask, inbox.busy)/
}
