//! Any bytes in the place of the weather API's answers.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(weather);
