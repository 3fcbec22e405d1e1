# rule: a recall hands back only what the word says that it looked at last
# file: src/process_pool/desk.rs
# tests: cases 
s/if now.begun > now.limit || now.limit != flight.limit.min(to.max(now.begun)) {/if false {/
