//! The program that workers are started from.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The file to start a worker from: this very executable, even if its name belongs to another file by now. `code` is an
/// address in its code.
#[cfg(target_os = "linux")]
pub(crate) fn program(code: usize) -> Result<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    const PROGRAM: &str = "/proc/self/exe";
    let named = std::fs::read_link(PROGRAM)
        .map_err(|error| format!("workers are started from {PROGRAM}, which can't be read: {error}"))?;
    let maps = super::stdio::with_stdio_taken(|| std::fs::read("/proc/self/maps")).unwrap_or_default();
    let Some((inode, loaded)) = file_at(&maps, code) else { return Ok(PROGRAM.into()) };
    if loaded != named {
        return Err(format!(
            "the program was started through another one: {PROGRAM} is {}, but the code comes from {}; \
             start it directly",
            named.display(),
            loaded.display(),
        ));
    }
    // Under valgrind and its like the link names the program, but starting from the link would start valgrind. It shows in
    // the file that the code is mapped from: its inode is that of the name, and not that of the link.
    let inode_of = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.ino());
    let is_stand_in = inode_of(PROGRAM.as_ref()) != Some(inode) && inode_of(&named) == Some(inode);
    if !is_stand_in {
        return Ok(PROGRAM.into());
    }
    // A process that valgrind starts loses the name by which it would know itself as a worker: `main` would run again, and
    // build a pool again. valgrind hides its own arguments at the usual path only, hence the `.` in this one.
    let line = super::stdio::with_stdio_taken(|| std::fs::read("/proc/self/./cmdline")).unwrap_or_default();
    let options = std::env::var_os("VALGRIND_OPTS").map(OsString::into_vec).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).chain(options.split(u8::is_ascii_whitespace));
    if words.any(|word| word == b"--trace-children=yes") {
        return Err(
            "under valgrind with `--trace-children=yes` a worker would lose its name; leave that out, and \
                    workers run without valgrind"
                .into(),
        );
    }
    Ok(named)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn program(_: usize) -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("the file of this program could not be found: {error}"))
}

/// The inode and path of the file that is mapped at an address, by `/proc/self/maps`; `None` where that is not certain.
#[cfg(target_os = "linux")]
fn file_at(maps: &[u8], address: usize) -> Option<(u64, PathBuf)> {
    use std::os::unix::ffi::OsStrExt;
    let line = maps.split(|byte| *byte == b'\n').find(|line| {
        let range = line.split(|byte| *byte == b' ').next().and_then(|range| std::str::from_utf8(range).ok());
        let (start, end) = range.and_then(|range| range.split_once('-')).unwrap_or_default();
        let number = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        (number(start)..number(end)).contains(&address)
    })?;
    // Address, rights, offset, device, inode, path.
    let inode = line.split(|byte| *byte == b' ').nth(4).and_then(|inode| std::str::from_utf8(inode).ok())?;
    let path = &line[line.iter().position(|byte| *byte == b'/')?..];
    // The kernel escapes unusual characters.
    let plain = !path.contains(&b'\\');
    plain.then_some((inode.parse().ok()?, PathBuf::from(std::ffi::OsStr::from_bytes(path))))
}

/// `argv[0]`. Where the C library gives no arguments before `main`, as musl, the kernel is asked.
pub(crate) fn own_name() -> Option<OsString> {
    std::env::args_os().next().or_else(first_argument)
}

fn first_argument() -> Option<OsString> {
    let line = std::fs::read("/proc/self/cmdline").ok()?;
    let name = line.split(|byte| *byte == 0).next()?;
    Some(OsString::from_vec(name.to_vec()))
}

/// Where that is, wherever this process goes.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}
