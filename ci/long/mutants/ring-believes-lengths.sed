# rule: a length in the ring is checked before it is used
# file: src/process_pool/ring.rs
# tests: cases 
s/len > Self::MOST || words(len) > filled - HEAD/len > usize::MAX \/ 2/
