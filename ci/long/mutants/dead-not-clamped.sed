# rule: a dead entry popped before it was counted does not look like work
# file: src/thread_pool/queue/section.rs
# tests: loom shutdown::
/fn settle/,/^    }/ {
    s/let dead = self.dead.load(Ordering::Relaxed).max(0) as usize;/let dead = self.dead.load(Ordering::Relaxed);/
    s/let queued = entries.saturating_sub(dead);/let queued = entries.saturating_add_signed(-dead);/
}
