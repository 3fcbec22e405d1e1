//! Any bytes in the place of a value.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(codec);
