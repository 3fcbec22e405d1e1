# rule: claim and cancel are compare-and-swaps
# file: src/future/state.rs
# tests: loom cell:: run_in_place
/fn leave_queued/a\
        if let now = self.load() {\
            if now.phase() != Phase::Queued { return None; }\
            self.0.store(now.0 | to as u8, Ordering::Release);\
            return Some(now);\
        }
