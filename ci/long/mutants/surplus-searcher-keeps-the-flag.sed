# rule: a searcher that rests as surplus clears `searching`
# file: src/thread_pool/queue/look.rs
# tests: loom waiting::
/state.searching = true;/,/match state.rest/ s/if searcher {/if searcher \&\& !over {/
