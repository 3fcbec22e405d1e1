//! What strangers try, who know how workers are made: programs that start this one under a worker's name.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The name that workers of this program are started under.
pub fn tell_mark() {
    let pool = ProcessPoolExecutor::new(1);
    let name = pool.submit(|()| std::fs::read("/proc/self/cmdline").unwrap_or_default(), ());
    let name = name.result().expect("a worker");
    let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
    println!("{}", String::from_utf8_lossy(&name));
}

/// Starts this program as a child of this one, under the name, with the standard input that this one has.
pub fn pass_on(name: &str) {
    let status = Command::new("/proc/self/exe").arg0(name).arg("refusal").status().expect("a program");
    println!("{:?}", status.code());
}

/// Becomes this program with no arguments at all, not even a name.
pub fn become_nameless() {
    let path = CString::from(c"/proc/self/exe");
    let none: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: a valid text, and two lists that end with null.
    unsafe { libc::execve(path.as_ptr(), none.as_ptr(), none.as_ptr()) };
    println!("{}", std::io::Error::last_os_error());
}
