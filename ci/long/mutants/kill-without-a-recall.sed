# rule: before a kill all that has not begun is taken back
# file: src/process_pool/driver.rs
# tests: crash kill
# expect: survived
# why: the next task would have to begin between the driver's look and its signal, which takes a microsecond; what had not
# begun goes elsewhere all the same, since a burial recalls too. That order is `RecallBeforeKill` in tests/page, which
# fails without it.
/fn judge/,/^    }/ s/book.recall(self.desk, &mut cancelled)/{ let _ = \&mut cancelled; Vec::new() }/
