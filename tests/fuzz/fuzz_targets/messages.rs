//! Any bytes in the place of what frames say.

#![cfg_attr(fuzzing, no_main)]

fuzz_tests::target!(messages);
