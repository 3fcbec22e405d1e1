# rule: as_completed hands out what ended while it registered
# file: src/wait/as_completed.rs
# tests: loom as_completed
/pub fn add(/,/^    }/ s/self.ready.push_back(key);//
