//! Whether workers come up in this very binary and in others, what they make of signals and terminals, whose end is whose,
//! and what becomes of a pool in hostile surroundings: docs/surroundings.md lists those, each with its test.

mod death;
mod disk;
mod edges;
mod ends;
mod memory;
mod preload;
mod program;
mod pty;
mod refusals;
mod sandbox;
mod signals;
mod stacks;
mod stdio;
mod storm;
mod stranger;
mod terminal;

use program::limit;

#[test]
fn in_a_test() {
    limit(start::check);
}
