# rule: a watch whose mark comes too late says so
# file: src/future/cell.rs
# tests: loom cell:: waiters::
/fn watch(/,/^    }/ s/^        !resolved$/        let _ = resolved; true/
