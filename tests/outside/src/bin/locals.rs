//! A program with large thread-locals, which lie in the stack of each of its threads (by glibc and musl): does what
//! `outside::run_with_locals` has under the name that it is given.

use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    static LOCALS: Cell<[u8; 900 << 10]> = const { Cell::new([0; 900 << 10]) };
}

fn main() {
    let _used = LOCALS.with(|locals| black_box(locals.as_ptr()));
    outside::run_with_locals(&std::env::args().nth(1).expect("the name of a situation"));
}
