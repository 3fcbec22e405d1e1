# rule: a searcher that rests as surplus clears `searching`
# file: src/thread_pool/queue.rs
# tests: loom waiting::
/state.searching = true;/,/match self.rest/ s/if searcher {/if searcher \&\& !over {/
