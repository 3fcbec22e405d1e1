# rule: a worker runs the constructors that the loader would have run after ours
# file: src/process_pool/entry.rs
# tests: start in_a_test
/^            run_other_constructors();$/d
