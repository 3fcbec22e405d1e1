# rule: the last worker tells whoever joins
# file: src/thread_pool/queue/look.rs
# tests: loom shutdown::
/    fn end(/,/^    }/ s/self.ended.notify_all();//
