# rule: a recall hands back only what the word says that it looked at last
# file: src/process_pool/lane.rs
# tests: cases 
# expect: survived
# why: a worker gone mad would have to write between two looks that lie nanoseconds apart, and write just what makes sense
# to both; the ring target meddles between looks, but has not hit on that.
s/if now.begun > now.limit || now.limit != batch.limit.min(to.max(now.begun)) {/if false {/
