# rule: what a dead worker had not begun runs elsewhere
# file: src/process_pool/book.rs
# tests: lib process_pool::
/fn bury/,/^    }/ s/self.recall(at, &mut remains.cancelled)/Vec::new()/
