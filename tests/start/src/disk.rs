//! Where the folders for temporary things are full, or can't be written.

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use std::ffi::CString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The folders that programs keep temporary things in.
const FOLDERS: [&str; 2] = ["/tmp", "/dev/shm"];

fn mount(what: &str, on: &str, kind: Option<&str>, flags: libc::c_ulong, options: Option<&str>) -> bool {
    let text = |text: &str| CString::new(text).expect("no zero in it");
    let (what, on, kind, options) = (text(what), text(on), kind.map(text), options.map(text));
    let kind = kind.as_ref().map_or(std::ptr::null(), |kind| kind.as_ptr());
    let options = options.as_ref().map_or(std::ptr::null(), |options| options.as_ptr().cast());
    // SAFETY: valid texts, or none where there may be none.
    unsafe { libc::mount(what.as_ptr(), on.as_ptr(), kind, flags, options) == 0 }
}

/// A namespace of mounts of its own for this process, which has one thread; by way of a user's namespace if need be.
fn is_apart() -> bool {
    // SAFETY: numbers in, numbers out.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    // SAFETY: this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        // SAFETY: as above.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } != 0 {
            return false;
        }
        let mapped = std::fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| std::fs::write("/proc/self/uid_map", format!("0 {user} 1")))
            .and_then(|()| std::fs::write("/proc/self/gid_map", format!("0 {group} 1")));
        if mapped.is_err() {
            return false;
        }
    }
    mount("none", "/", None, libc::MS_REC | libc::MS_PRIVATE, None)
}

/// Makes the folders `full` or `readonly` for this process, then becomes this program again with other arguments.
pub fn make(how: &str, arguments: &[&str]) {
    let program = std::env::current_exe().expect("a program");
    // Workers are started from it: what it lies in is left as it is, which the test says.
    let has_the_program = |folder: &&str| program.starts_with(folder);
    let made = is_apart()
        && FOLDERS.into_iter().filter(|folder| !has_the_program(folder)).all(|folder| spoil(folder, how));
    if !made {
        println!("not permitted: {}", std::io::Error::last_os_error());
        return;
    }
    println!("{}", Command::new("/proc/self/exe").args(arguments).exec());
}

fn spoil(folder: &str, how: &str) -> bool {
    if !mount("tmpfs", folder, Some("tmpfs"), 0, Some("size=64k")) {
        return false;
    }
    if how == "readonly" {
        return mount("none", folder, None, libc::MS_REMOUNT | libc::MS_RDONLY, None);
    }
    let mut filler = std::fs::File::create(format!("{folder}/filler")).expect("a file");
    while filler.write(&[1; 4096]).is_ok() {}
    true
}

/// Takes everything but an empty folder away from a program that has built its pool.
pub fn leave_for_an_empty_root(empty: &str) {
    let pool = ProcessPoolExecutor::new(1);
    let root = CString::new(empty).expect("no zero in it");
    // SAFETY: a valid text.
    let moved = unsafe { libc::unshare(libc::CLONE_FS) == 0 && libc::chroot(root.as_ptr()) == 0 };
    let error = std::io::Error::last_os_error();
    if moved {
        match pool.submit(|n: u32| n, 1).result() {
            Ok(_) => println!("worked"),
            Err(error) => println!("error: {error}"),
        }
    } else {
        println!("not permitted: {error}");
    }
}

/// Has tasks print to a disk that is full.
pub fn print_to_a_full_one() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let pool = ProcessPoolExecutor::builder().max_workers(1).stdout(full).build().expect("a pool");
    let print: fn(u32) -> u32 = |n| {
        println!("a line that has no room");
        n
    };
    match pool.submit(print, 1).result() {
        Ok(_) => println!("printed"),
        Err(error) => println!("error: {error}"),
    }
    println!("next: {:?}", pool.submit(|n: u32| n + 1, 1).result().ok());
    println!("deaths {}", pool.stats().deaths);
}
