//! Which function: how one process names it to another run of the same executable.
//!
//! An address means nothing elsewhere, since each process is loaded at a place of its own. The distance from where the
//! main executable was loaded means the same in every process that runs the very same file, and the [`Fingerprint`] says
//! whether it does. Both ends check that the function lies in the executable's code: one in a shared library lies
//! elsewhere in each process.
//!
//! An address is never a key: the linker may fold two functions with the same body into one.

#[cfg(target_os = "linux")]
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::LazyLock;

/// A function's distance from the place where the main executable is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offset(u64);

/// A function that isn't part of the main executable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere;

impl Offset {
    pub(crate) fn of(function: *const ()) -> Result<Self, Elsewhere> {
        let address = function.addr();
        if !IMAGE.code.contains(&address) {
            return Err(Elsewhere);
        }
        Ok(Offset(address.wrapping_sub(IMAGE.base) as u64))
    }

    /// The function here, if there can be one.
    pub(crate) fn resolve(self) -> Result<*const (), Elsewhere> {
        let address = IMAGE.base.wrapping_add(self.0 as usize);
        if !IMAGE.code.contains(&address) {
            return Err(Elsewhere);
        }
        Ok(std::ptr::with_exposed_provenance(address))
    }

    pub(crate) fn to_raw(self) -> u64 {
        self.0
    }

    pub(crate) fn from_raw(raw: u64) -> Self {
        Offset(raw)
    }
}

/// Names one build of one executable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint([u8; Self::LEN]);

impl Fingerprint {
    /// That of a GNU build-id, a SHA-1.
    pub(crate) const LEN: usize = 20;

    /// This executable's: its build-id where the linker made one, else which file it is, how long and how old.
    pub(crate) fn own() -> Self {
        IMAGE.fingerprint
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    #[cfg(target_os = "linux")]
    fn of_build_id(id: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        // Longer ones exist (`--build-id=sha256`): folded, every byte counts.
        for (at, byte) in id.iter().enumerate() {
            bytes[at % Self::LEN] ^= byte;
        }
        Fingerprint(bytes)
    }

    fn of_file() -> Self {
        let Ok(meta) = std::env::current_exe().and_then(std::fs::metadata) else {
            return Fingerprint([0; Self::LEN]);
        };
        let mut bytes = [0; Self::LEN];
        let parts = file_identity(&meta);
        for (part, place) in parts.iter().zip(bytes.chunks_exact_mut(4)) {
            place.copy_from_slice(&((part ^ (part >> 32)) as u32).to_le_bytes());
        }
        Fingerprint(bytes)
    }
}

#[cfg(unix)]
fn file_identity(meta: &std::fs::Metadata) -> [u64; 5] {
    use std::os::unix::fs::MetadataExt;
    [meta.dev(), meta.ino(), meta.len(), meta.mtime() as u64, meta.mtime_nsec() as u64]
}

#[cfg(not(unix))]
fn file_identity(meta: &std::fs::Metadata) -> [u64; 5] {
    let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let modified = meta.modified().map(since).unwrap_or_default();
    [0, 0, meta.len(), modified.as_secs(), modified.subsec_nanos().into()]
}

/// Whether this address belongs to the main executable, as opposed to a shared library. Where that can't be told, it is
/// taken not to: then no worker is started that might be another program.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_executable(address: *const ()) -> bool {
    IMAGE.whole.contains(&address.addr())
}

#[cfg(target_vendor = "apple")]
pub(crate) fn is_in_executable(address: *const ()) -> bool {
    // SAFETY: declared as in `mach-o/dyld.h`; any number may be asked for.
    unsafe extern "C" {
        // Number 0 is the main executable, which the loader keeps mapped.
        safe fn _dyld_get_image_header(number: u32) -> *const std::ffi::c_void;
    }
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: any address may be asked for, and `info` is a valid place for the answer.
    let found = unsafe { libc::dladdr(address.cast(), &raw mut info) } != 0;
    found && info.dli_fbase.cast_const() == _dyld_get_image_header(0)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(crate) fn is_in_executable(_: *const ()) -> bool {
    false
}

/// How far into the main executable a static lies: the same in each of its processes.
pub(crate) fn distance(address: *const ()) -> u64 {
    address.addr().wrapping_sub(IMAGE.base) as u64
}

/// The main executable as it is loaded here.
struct Image {
    base: usize,
    code: Range<usize>,
    #[cfg(target_os = "linux")]
    whole: Range<usize>,
    fingerprint: Fingerprint,
}

static IMAGE: LazyLock<Image> = LazyLock::new(Image::find);

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
type Header = libc::Elf64_Phdr;
#[cfg(all(target_os = "linux", target_pointer_width = "32"))]
type Header = libc::Elf32_Phdr;

#[cfg(target_os = "linux")]
impl Image {
    fn find() -> Image {
        let mut image = None;
        // SAFETY: `first_object` keeps to what dl_iterate_phdr promises it, and `image` outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut image).cast()) };
        let empty = || Image { base: 0, code: 0..0, whole: 0..0, fingerprint: Fingerprint::of_file() };
        image.unwrap_or_else(empty)
    }

    /// From the program headers of an object that is loaded at `base`.
    ///
    /// # Safety
    ///
    /// The segments that `headers` name are mapped, readable, and stay so for the call.
    unsafe fn from_headers(base: usize, headers: &[Header]) -> Image {
        let range = |header: &Header| {
            let start = base + header.p_vaddr as usize;
            start..start + header.p_memsz as usize
        };
        let join = |all: Range<usize>, next: Range<usize>| match all.is_empty() {
            true => next,
            false => all.start.min(next.start)..all.end.max(next.end),
        };
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let whole = loaded.clone().map(range).fold(0..0, join);
        let code = loaded.filter(|header| header.p_flags & libc::PF_X != 0).map(range).fold(0..0, join);
        let build_id = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|header| {
            let notes = range(header);
            // SAFETY: the caller promises that the segment is mapped and readable.
            let bytes = unsafe {
                std::slice::from_raw_parts(std::ptr::with_exposed_provenance(notes.start), notes.len())
            };
            build_id(bytes)
        });
        let fingerprint = build_id.map_or_else(Fingerprint::of_file, Fingerprint::of_build_id);
        Image { base, code, whole, fingerprint }
    }
}

/// Keeps the first object that it is shown, which is the main executable, and ends the walk.
///
/// # Safety
///
/// As `dl_iterate_phdr` calls it; `data` points to an `Option<Image>`.
#[cfg(target_os = "linux")]
unsafe extern "C" fn first_object(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid description, which outlives the call.
    let info = unsafe { &*info };
    // SAFETY: so many headers are there; the loader keeps them mapped as long as the object.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    // SAFETY: the executable's segments stay mapped while the process lives.
    let image = unsafe { Image::from_headers(info.dlpi_addr as usize, headers) };
    // SAFETY: our caller passed a pointer to its `Option<Image>`, which nobody else touches meanwhile.
    unsafe { *data.cast::<Option<Image>>() = Some(image) };
    1
}

/// The build-id among the notes of one segment: records of three words, a name and a description, each padded to four
/// bytes (the ELF specification, "Note Section").
#[cfg(target_os = "linux")]
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    const HEADER: usize = 12;
    while notes.len() >= HEADER {
        let word = |at: usize| notes[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
        let (name, description, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let (from, padded) = (HEADER + name.next_multiple_of(4), description.next_multiple_of(4));
        let id = notes.get(from..from.checked_add(description)?)?;
        if kind == NT_GNU_BUILD_ID && notes.get(HEADER..HEADER + name) == Some(b"GNU\0") && !id.is_empty() {
            return Some(id);
        }
        notes = notes.get(from + padded..)?;
    }
    None
}

#[cfg(not(target_os = "linux"))]
impl Image {
    /// Without a way to see the segments, everything counts as code, measured from a function of this crate: right for
    /// whoever runs the same file, which the fingerprint says.
    fn find() -> Image {
        let base = (Image::find as fn() -> Image as *const ()).addr();
        Image { base, code: 0..usize::MAX, fingerprint: Fingerprint::of_file() }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Fingerprint, Offset, build_id, is_in_executable};

    fn double(n: u32) -> u32 {
        2 * n
    }

    #[test]
    fn there_and_back() {
        let address = double as fn(u32) -> u32 as *const ();
        let offset = Offset::of(address).expect("our own");
        assert_eq!(Offset::from_raw(offset.to_raw()).resolve().expect("our own"), address);
        assert!(is_in_executable(address));
    }

    #[test]
    fn what_is_elsewhere_has_no_offset() {
        let heap = Box::new(1);
        assert!(Offset::of((&raw const *heap).cast()).is_err());
        assert!(Offset::from_raw(u64::MAX).resolve().is_err());
        assert!(Offset::from_raw(1 << 40).resolve().is_err());
    }

    #[test]
    fn the_fingerprint_is_known() {
        assert_ne!(Fingerprint::own().as_bytes(), &[0; Fingerprint::LEN]);
    }

    #[test]
    fn notes_are_read_with_care() {
        let note = |name: &[u8], kind: u32, id: &[u8]| {
            let mut bytes = Vec::new();
            for word in [name.len() as u32, id.len() as u32, kind] {
                bytes.extend(word.to_ne_bytes());
            }
            bytes.extend(name);
            bytes.extend(id);
            bytes
        };
        let good =
            [note(b"ABC\0", 3, b"1234"), note(b"GNU\0", 1, b"abcd"), note(b"GNU\0", 3, b"id56")].concat();
        assert_eq!(build_id(&good), Some(&b"id56"[..]));
        for cut in 0..good.len() {
            assert_eq!(build_id(&good[..cut]), None);
        }
        assert_eq!(build_id(&[0xff; 64]), None);
    }
}
