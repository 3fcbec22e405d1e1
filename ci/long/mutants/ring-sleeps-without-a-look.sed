# rule: whoever hangs up looks once more before it sleeps
# file: src/process_pool/ring.rs
# tests: loom replies::
/fn hang_up/,/^    }/ s/self.has_news()$/false/
