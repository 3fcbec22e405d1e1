//! Any bytes in the place of a task and of its outcome.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(parcels);
