# rule: dead entries are swept
# file: src/thread_pool/queue/dead.rs
# tests: stress cancel_behind
s/let sweep = is_worth_a_sweep(dead, guess);/let sweep = false \&\& is_worth_a_sweep(dead, guess);/
