//! Any bytes in the place of a stream of frames.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(frames);
