# rule: a wait hears of futures that ended while it registered
# file: src/wait/mod.rs
# tests: loom waiters::wait
/fn arm(/,/^    }/ s/hub.tell(key as Key, cell.header().word.load().phase() == Phase::Failed);//
