# rule: what a dead worker had not begun runs elsewhere
# file: src/process_pool/book.rs
# tests: crash kill_hits world::
/fn bury/,/^    }/ s/self.recall(at, &mut remains.cancelled)/Vec::new()/
