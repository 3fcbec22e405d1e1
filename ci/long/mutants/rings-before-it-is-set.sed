# rule: a ring is set before the sleeper is notified
# file: src/future/hub.rs
# tests: loom cell::
/^            rung.notify_one();/d
s/change(&mut bell.lock());/rung.notify_one(); change(\&mut bell.lock());/
