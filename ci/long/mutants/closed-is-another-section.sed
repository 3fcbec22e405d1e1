# rule: closed is read with the push
# file: src/thread_pool/queue/submit.rs
# tests: loom late_pushes
/fn push_unbounded/,/^    }/ {
    s/let mut inbox = self.inbox.lock();/let seen = self.inbox.lock().closed.clone(); let mut inbox = self.inbox.lock();/
    s/if let Some(closed) = inbox.closed() {/if let Some(closed) = \&seen {/
}
