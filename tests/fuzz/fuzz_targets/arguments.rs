//! Any words in the place of the examples' arguments.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(arguments);
