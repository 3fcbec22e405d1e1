# rule: publishing looks at the marks in the same step
# file: src/future/cell.rs
# tests: loom cell::
s/let before = header.word.publish(from, to);/let before = header.word.load(); header.word.publish(from, to);/
