//! A worker gone mad that writes anything to the shared segment.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(ring);
