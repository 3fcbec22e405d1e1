//! A program that knows nothing of the crate and loads a plug-in that does: `host PLUGIN`.

use std::ffi::{CStr, CString, c_char};

fn main() {
    let path = CString::new(std::env::args().nth(1).expect("a plug-in")).expect("a path");
    // SAFETY: the plug-in's constructors are those of Rust's and of the crate's.
    let plugin = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!plugin.is_null(), "the plug-in can't be loaded");
    // SAFETY: a valid library and a valid name.
    let build = unsafe { libc::dlsym(plugin, c"build_a_pool".as_ptr()) };
    assert!(!build.is_null(), "the plug-in lacks its function");
    // SAFETY: the plug-in declares it so.
    let build: extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(build) };
    // SAFETY: it gives back a text that is never freed.
    let said = unsafe { CStr::from_ptr(build()) };
    println!("refused: {}", said.to_string_lossy());
    // SAFETY: asks for the status of any child, without a place to put it.
    let child = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    println!("{}", if child == -1 { "no child" } else { "a child" });
}
