# rule: before a kill all that has not begun is taken back
# file: src/process_pool/driver.rs
# tests: crash kill
/fn judge/,/^    }/ s/book.recall(self.desk, &mut cancelled)/{ let _ = \&mut cancelled; Vec::new() }/
