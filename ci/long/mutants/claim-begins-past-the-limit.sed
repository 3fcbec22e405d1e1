# rule: nothing begins above the limit
# file: src/process_pool/shared.rs
# tests: loom claim::
s/(!now.is_through()).then/(now.begun < u32::MAX).then/
