# rule: what was killed on purpose is not run again
# file: src/process_pool/book.rs
# tests: crash retries_after_deaths
s/reason.is_none() && is_dead && !cancelling && record.try_again()/is_dead \&\& !cancelling \&\& record.try_again()/
