# rule: what was killed on purpose is not run again
# file: src/process_pool/dispatch.rs
# tests: crash retries_after_deaths
s/reason.is_none() && is_dead && !cancelling && task.try_again()/is_dead \&\& !cancelling \&\& task.try_again()/
