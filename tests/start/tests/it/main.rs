//! Whether workers come up in this very binary and in others, what they make of signals and terminals, and whose end is
//! whose.

mod death;
mod ends;
mod program;
mod pty;
mod refusals;
mod sandbox;
mod signals;
mod terminal;

use program::limit;

#[test]
fn in_a_test() {
    limit(start::check);
}
