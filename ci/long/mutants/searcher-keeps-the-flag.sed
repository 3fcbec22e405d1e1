# rule: a searcher that takes clears `searching`
# file: src/thread_pool/queue/look.rs
# tests: loom one_producer two_producers
/= self.take(&mut state)/,/NextStep::Run/ s/state.searching = false;/let _ = searcher;/
