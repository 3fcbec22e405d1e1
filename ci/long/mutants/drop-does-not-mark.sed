# rule: the drop of a future and the end of its task agree on the outcome
# file: src/future/mod.rs
# tests: loom drop_of
s/let before = cell.header().word.mark_unwanted();/let before = cell.header().word.load(); cell.header().word.mark_unwanted();/
