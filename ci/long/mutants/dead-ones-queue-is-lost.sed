# rule: what a dead worker had not begun runs elsewhere
# file: src/process_pool/dispatch.rs
# tests: lib process_pool::
/fn reap/,/^    }/ s/self.recall(at, &mut reaped.cancelled)/Vec::new()/
