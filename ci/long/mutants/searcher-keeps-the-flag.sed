# rule: a searcher that takes clears `searching`
# file: src/thread_pool/queue.rs
# tests: loom one_producer two_producers
/= self.take(&mut state)/,/Next::Run/ s/state.searching = false;/let _ = searcher;/
