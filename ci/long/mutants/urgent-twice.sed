# rule: a task has one urgent entry at most
# file: src/thread_pool/queue/blocked.rs
# tests: stress timed_waits poll_give_up
s/if entry.header().word.mark_urgent() {/entry.header().word.mark_urgent(); {/
