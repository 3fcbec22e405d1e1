# rule: only a task with a place gets a second entry
# file: src/future/state.rs
# tests: loom offered_before
s/self.mark_while_queued(URGENT, ENTERED)/self.mark_while_queued(URGENT, 0)/
