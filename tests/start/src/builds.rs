//! Whether another file is another build: a parcel is made in one process and executed in another.

use crate::edges::set_limit;
use concurrent_futures::{Task, remote};

fn double(n: u32) -> u32 {
    2 * n
}

/// What comes of a task that was encoded while no descriptor was free, and of the next.
pub fn parcel_without_descriptors() {
    let encode = || Task::new(double, 21).0.encode().expect("a number");
    let before = set_limit(libc::RLIMIT_NOFILE, 3);
    let first = encode();
    set_limit(libc::RLIMIT_NOFILE, before);
    for parcel in [first, encode()] {
        // SAFETY: this program made it.
        println!("{}", outcome(&unsafe { remote::execute(parcel.as_bytes()) }));
    }
}

/// One parcel, as a line of hexadecimal digits.
pub fn print_parcel() {
    let (mut task, _future) = Task::new(double, 21);
    let parcel = task.encode().expect("a number");
    let digits: String = parcel.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{digits}");
}

/// What comes of it here.
pub fn execute(digits: &str) {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    let parcel: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    // SAFETY: the test made it with this program, or with one that must be told from it.
    let reply = unsafe { remote::execute(&parcel) };
    println!("{}", outcome(&reply));
}

fn outcome(reply: &[u8]) -> &'static str {
    if String::from_utf8_lossy(reply).contains("foreign build") { "another build" } else { "executed" }
}
