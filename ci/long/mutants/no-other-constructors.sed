# rule: a worker runs the constructors that the loader would have run after ours
# file: src/process_pool/entry.rs
# tests: start in_a_test
s/enter(|| run_other_constructors(told));/enter(|| drop(told));/
