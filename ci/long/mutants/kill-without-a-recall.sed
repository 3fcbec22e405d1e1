# rule: before a kill all that has not begun is taken back
# file: src/process_pool/driver.rs
# tests: crash kill
# expect: survived
# why: the next task would have to begin between the driver's look and its signal, which takes a microsecond; what had not
# begun goes elsewhere all the same, because reaping recalls too. That order is `RecallBeforeKill` in tests/protocol, which
# fails without it.
/fn handle_kills/,/^    }/ s/dispatcher.recall(self.lane, &mut cancelled)/{ let _ = \&mut cancelled; Vec::new() }/
