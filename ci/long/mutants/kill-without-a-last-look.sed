# rule: a kill hits the task that it is for only while that one is open
# file: src/process_pool/dispatch.rs
# tests: lib process_pool::
s/kills.into_iter().find(|(id, _)| lane.find(\*id).is_some())/kills.into_iter().next()/
