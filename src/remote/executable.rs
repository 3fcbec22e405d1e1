//! The main executable as it is loaded in this process: where its code lies, which build-id it has, what its file is.

#[cfg(target_os = "linux")]
use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::LazyLock;

/// What a running program is started from: this very file, also when another has taken its name meanwhile.
pub(super) fn own_file() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
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

#[cfg(windows)]
pub(crate) fn is_in_executable(address: *const ()) -> bool {
    IMAGE.whole.contains(&address.addr())
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
pub(crate) fn is_in_executable(_: *const ()) -> bool {
    false
}

/// How far into the main executable a static lies: the same in each of its processes.
pub(crate) fn distance(address: *const ()) -> u64 {
    address.addr().wrapping_sub(IMAGE.base) as u64
}

/// The main executable as it is loaded here.
pub(super) struct Image {
    pub(super) base: usize,
    pub(super) code: Range<usize>,
    #[cfg(any(target_os = "linux", windows))]
    whole: Range<usize>,
    /// As the linker made it, if it did.
    pub(super) build_id: Option<Vec<u8>>,
    /// What of the file is loaded: where it lies in it.
    pub(super) parts: Vec<Range<u64>>,
    /// What of the headers was loaded, where the file may be another one by now.
    #[cfg(windows)]
    pub(super) identity: Vec<u8>,
}

pub(super) static IMAGE: LazyLock<Image> = LazyLock::new(Image::find);

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
        let empty = || Image { base: 0, code: 0..0, whole: 0..0, build_id: None, parts: Vec::new() };
        image.unwrap_or_else(empty)
    }

    /// From the program headers of an object that is loaded at `base`.
    ///
    /// # Safety
    ///
    /// The segments that `headers` name are mapped, readable, and stay so for the call.
    unsafe fn from_headers(base: usize, headers: &[Header]) -> Image {
        let range = |header: &Header| range_of(base, header);
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let whole = loaded.clone().map(range).fold(0..0, join);
        let in_file = |header: &Header| {
            let start = wide(header.p_offset);
            start..start.saturating_add(wide(header.p_filesz))
        };
        let parts = loaded.clone().map(in_file).filter(|part| !part.is_empty()).collect();
        let code = loaded.filter(|header| header.p_flags & libc::PF_X != 0).map(range).fold(0..0, join);
        let build_id = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|header| {
            let notes = range(header);
            // SAFETY: the caller promises that the segment is mapped and readable.
            let bytes = unsafe {
                std::slice::from_raw_parts(std::ptr::with_exposed_provenance(notes.start), notes.len())
            };
            find_build_id(bytes).map(<[u8]>::to_vec)
        });
        Image { base, code, whole, build_id, parts }
    }
}

/// Numbers in a program header have the width of an address.
#[cfg(target_os = "linux")]
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// The executable, or a library that is loaded.
pub(crate) struct Object {
    pub(crate) base: usize,
    pub(crate) range: Range<usize>,
    /// Its path; empty for the executable.
    pub(crate) name: Vec<u8>,
}

/// All objects that are loaded now, the executable first. None, where the system is not asked.
#[cfg(target_os = "linux")]
pub(crate) fn objects() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: `each_object` keeps to what dl_iterate_phdr promises it, and `objects` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(each_object), (&raw mut objects).cast()) };
    objects
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn objects() -> Vec<Object> {
    Vec::new()
}

/// Keeps each object that it is shown.
///
/// # Safety
///
/// As `dl_iterate_phdr` calls it; `data` points to a `Vec<Object>`.
#[cfg(target_os = "linux")]
unsafe extern "C" fn each_object(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid description, which outlives the call.
    let info = unsafe { &*info };
    // SAFETY: that many headers are there; the loader keeps them mapped as long as the object.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let base = info.dlpi_addr as usize;
    let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let range = loaded.map(|header| range_of(base, header)).fold(0..0, join);
    // SAFETY: our caller passed a pointer to its `Vec<Object>`, which nobody else touches meanwhile.
    let objects = unsafe { &mut *data.cast::<Vec<Object>>() };
    // The executable comes first. glibc gives it no name, musl a path.
    let name = match objects.is_empty() || info.dlpi_name.is_null() {
        true => Vec::new(),
        // SAFETY: what is not null is a text that ends with a zero, and lives as long as the object.
        false => unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) }.to_bytes().to_vec(),
    };
    objects.push(Object { base, range, name });
    0
}

/// Where a segment is mapped, of an object that is loaded at `base`.
#[cfg(target_os = "linux")]
fn range_of(base: usize, header: &Header) -> Range<usize> {
    let start = base.wrapping_add(header.p_vaddr as usize);
    start..start.wrapping_add(header.p_memsz as usize)
}

#[cfg(target_os = "linux")]
fn join(all: Range<usize>, next: Range<usize>) -> Range<usize> {
    match all.is_empty() {
        true => next,
        false => all.start.min(next.start)..all.end.max(next.end),
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
    // SAFETY: that many headers are there; the loader keeps them mapped as long as the object.
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
fn find_build_id(mut notes: &[u8]) -> Option<&[u8]> {
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

#[cfg(windows)]
impl Image {
    fn find() -> Image {
        let empty = || Image {
            base: 0,
            code: 0..0,
            whole: 0..0,
            build_id: None,
            parts: Vec::new(),
            identity: Vec::new(),
        };
        super::pe::Headers::own().map_or_else(empty, |headers| Image {
            base: headers.base,
            code: headers.code,
            whole: headers.whole,
            build_id: headers.build_id,
            parts: headers.parts,
            identity: headers.identity,
        })
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
impl Image {
    /// Without a way to see the segments, everything counts as code, measured from a function of this crate: right for
    /// whoever runs the same file, which the fingerprint says.
    fn find() -> Image {
        let base = (Image::find as fn() -> Image as *const ()).addr();
        Image { base, code: 0..usize::MAX, build_id: None, parts: Vec::new() }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::find_build_id;

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
        assert_eq!(find_build_id(&good), Some(&b"id56"[..]));
        for cut in 0..good.len() {
            assert_eq!(find_build_id(&good[..cut]), None);
        }
        assert_eq!(find_build_id(&[0xff; 64]), None);
    }
}
