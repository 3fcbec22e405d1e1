//! A worker gone mad that writes anything to the shared page.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(ring);
