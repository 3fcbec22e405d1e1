# rule: a driver that enables the doorbell looks once more before it sleeps
# file: src/process_pool/ring.rs
# tests: loom replies::
/fn enable_doorbell/,/^    }/ s/self.has_replies()$/false/
