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
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{LazyLock, OnceLock};

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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fingerprint([u8; Self::LEN]);

impl Fingerprint {
    /// That of a GNU build-id, a SHA-1.
    pub(crate) const LEN: usize = 20;

    /// This executable's: its build-id where the linker made one, else a checksum of what the system loads of its file.
    /// Neither a name nor a time is part of it: a program that was renamed, replaced, copied or touched is the same.
    pub(crate) fn own() -> Self {
        OWN.get().copied().unwrap_or_else(Fingerprint::find)
    }

    /// Made when it is first needed: most programs have a build-id, and many that have none never need it.
    #[cold]
    fn find() -> Self {
        if let Some(id) = IMAGE.build_id {
            return *OWN.get_or_init(|| id);
        }
        match Fingerprint::of_contents() {
            Ok(found) => *OWN.get_or_init(|| found),
            // A program that may be run and not be read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                *OWN.get_or_init(Fingerprint::of_identity)
            }
            // For want of descriptors, say: next time it may be there.
            Err(_) => Fingerprint::of_identity(),
        }
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

    /// From the file and not from memory, which relocations, the program itself and debuggers change.
    fn of_contents() -> io::Result<Self> {
        let mut sum = Checksum::default();
        sum.add_file(&IMAGE.parts)?;
        Ok(sum.finish())
    }

    /// Which file it is, which doesn't change while it runs, and how long.
    fn of_identity() -> Self {
        let mut sum = Checksum::default();
        if let Ok(meta) = own_file().and_then(std::fs::metadata) {
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                sum.add(&meta.dev().to_le_bytes());
                sum.add(&meta.ino().to_le_bytes());
            }
            sum.add(&meta.len().to_le_bytes());
        }
        sum.finish()
    }
}

/// Names one build of one executable: the same in every process that runs the very same file, whatever it is called and
/// wherever it lies.
///
/// It is the build-id that the linker made, or a checksum of what the system loads of the file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuildId(Fingerprint);

/// The build of this executable.
///
/// # Examples
///
/// ```
/// let build = concurrent_futures::remote::build_id();
/// assert_eq!(build.to_string().len(), 40);
/// ```
pub fn build_id() -> BuildId {
    BuildId(Fingerprint::own())
}

/// Forty hexadecimal digits.
impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

static OWN: OnceLock<Fingerprint> = OnceLock::new();

/// What a running program is started from: this very file, also when another has taken its name meanwhile.
fn own_file() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// A checksum against mistakes, not against forgery. Each step can be undone, so two files that differ in one word differ
/// in each half of the sum.
struct Checksum {
    halves: [u64; 2],
    len: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        // Digits of pi.
        Checksum { halves: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], len: 0 }
    }
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        // Digits of pi again, made odd: multiplying by them loses nothing.
        const FACTORS: [u64; 2] = [0xa409_3822_299f_31d1, 0x082e_fa98_ec4e_6c89];
        self.len = self.len.wrapping_add(bytes.len() as u64);
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let word = u64::from_le_bytes(word);
            for (half, factor) in self.halves.iter_mut().zip(FACTORS) {
                let mixed = (*half ^ word).wrapping_mul(factor);
                *half = mixed ^ (mixed >> 29);
            }
        }
    }

    /// These parts of the program's file, or all of it if there are none.
    fn add_file(&mut self, parts: &[Range<u64>]) -> io::Result<()> {
        let mut file = File::open(own_file()?)?;
        let all = 0..u64::MAX;
        let parts = if parts.is_empty() { std::slice::from_ref(&all) } else { parts };
        let mut buffer = vec![0; 64 << 10];
        for part in parts {
            file.seek(SeekFrom::Start(part.start))?;
            let mut left = part.end - part.start;
            while left > 0 {
                let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                // Filled if it can be, so that a sum doesn't depend on how many bytes a read gives.
                let mut got = 0;
                while got < most {
                    match file.read(&mut buffer[got..most]) {
                        Ok(0) => break,
                        Ok(more) => got += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                self.add(&buffer[..got]);
                if got < most {
                    break;
                }
                left -= got as u64;
            }
        }
        Ok(())
    }

    fn finish(&self) -> Fingerprint {
        let mut bytes = [0; Fingerprint::LEN];
        bytes[..8].copy_from_slice(&self.halves[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&self.halves[1].to_le_bytes());
        bytes[16..].copy_from_slice(&(self.len as u32).to_le_bytes());
        Fingerprint(bytes)
    }
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
    build_id: Option<Fingerprint>,
    /// What of the file is loaded: where it lies in it.
    parts: Vec<Range<u64>>,
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
        let empty = || Image { base: 0, code: 0..0, whole: 0..0, build_id: None, parts: Vec::new() };
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
            find_build_id(bytes)
        });
        Image { base, code, whole, build_id: build_id.map(Fingerprint::of_build_id), parts }
    }
}

/// Numbers in a program header have the width of an address.
#[cfg(target_os = "linux")]
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
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

#[cfg(not(target_os = "linux"))]
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
    use super::{Checksum, Fingerprint, IMAGE, Offset, find_build_id, is_in_executable};

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
    fn without_a_build_id_the_contents_are_known() {
        let contents = || Fingerprint::of_contents().expect("it can be read");
        let one = contents();
        assert_eq!(one, contents());
        // What is loaded was read, and nothing else: with its debug information the file is longer.
        let loaded: u64 = IMAGE.parts.iter().map(|part| part.end - part.start).sum();
        assert!(loaded > 1 << 16, "{:?}", IMAGE.parts);
        assert_eq!(one.as_bytes()[16..], (loaded as u32).to_le_bytes());
    }

    #[test]
    fn each_byte_and_the_length_count() {
        let sum = |bytes: &[u8]| {
            let mut sum = Checksum::default();
            sum.add(bytes);
            sum.finish()
        };
        let bytes: Vec<u8> = (0..100).collect();
        let mut seen = vec![sum(&bytes)];
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            seen.push(sum(&other));
            seen.push(sum(&bytes[..at]));
        }
        seen.push(sum(&[&bytes[..], &[0]].concat()));
        for (at, one) in seen.iter().enumerate() {
            assert!(seen[at + 1..].iter().all(|other| other != one), "{at}");
        }
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
        assert_eq!(find_build_id(&good), Some(&b"id56"[..]));
        for cut in 0..good.len() {
            assert_eq!(find_build_id(&good[..cut]), None);
        }
        assert_eq!(find_build_id(&[0xff; 64]), None);
    }
}
