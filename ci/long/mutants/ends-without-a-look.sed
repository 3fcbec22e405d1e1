# rule: at shutdown a worker ends only when nothing is queued
# file: src/thread_pool/queue/look.rs
# tests: loom shutdown::
# expect: survived
# why: reached only after a failed take, and leave() looks: it survives in the protocol model as well
s/(over || self.is_empty(&state))/(true || over || self.is_empty(\&state))/
