# rule: closing wakes sleepers
# file: src/thread_pool/queue/shutdown.rs
# tests: loom shutdown::
/fn tell_everybody/,/^    }/ s/self.wake.notify_all();//
