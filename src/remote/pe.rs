//! What the headers of a program say as Windows has loaded it ("PE Format", Microsoft).

use std::ops::Range;
use std::ptr;
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;

/// The main executable's.
pub(super) struct Headers {
    pub(super) base: usize,
    pub(super) whole: Range<usize>,
    pub(super) code: Range<usize>,
    /// What of the file is loaded and stays: where it lies in it.
    pub(super) parts: Vec<Range<u64>>,
    /// What says which build it is that was loaded, whatever file has its name by now.
    pub(super) identity: Vec<u8>,
    /// By which the linker has named the file with the debug information, if it did.
    pub(super) build_id: Option<Vec<u8>>,
}

/// What the headers of any program say, in numbers from where it is loaded.
struct Layout {
    len: usize,
    code: Range<usize>,
    parts: Vec<Range<u64>>,
    debug: Range<usize>,
    identity: Vec<u8>,
}

/// The first page, in which every linker has all headers.
const PAGE: usize = 4096;

impl Headers {
    pub(super) fn own() -> Option<Headers> {
        // SAFETY: no name means the program's own file.
        let base = unsafe { GetModuleHandleW(ptr::null()) }.cast::<u8>();
        if base.is_null() {
            return None;
        }
        // SAFETY: the loader maps the headers, a page at least, and they stay as they are.
        let layout = Layout::read(unsafe { std::slice::from_raw_parts(base, PAGE) })?;
        let start = base.addr();
        let within = |range: Range<usize>| {
            let end = range.end.min(layout.len);
            (range.start < end).then(|| {
                // SAFETY: the range lies in what the loader has mapped of the program, and is read before anything ends.
                unsafe { std::slice::from_raw_parts(base.wrapping_add(range.start), end - range.start) }
            })
        };
        let build_id = within(layout.debug.clone()).and_then(|debug| {
            debug.chunks_exact(ENTRY).find_map(|entry| code_view(within(code_view_place(entry)?)?))
        });
        Some(Headers {
            base: start,
            whole: start..start + layout.len,
            code: start + layout.code.start..start + layout.code.end,
            parts: layout.parts,
            identity: layout.identity,
            build_id,
        })
    }
}

impl Layout {
    fn read(head: &[u8]) -> Option<Layout> {
        const SIGNATURE: &[u8; 4] = b"PE\0\0";
        const WIDE: u16 = 0x20b;
        const SECTION: usize = 40;
        const IS_CODE: u32 = 0x20;
        const CAN_BE_DISCARDED: u32 = 0x0200_0000;
        let at = number(head, 0x3c)? as usize;
        if head.get(at..)?.first_chunk::<4>()? != SIGNATURE {
            return None;
        }
        let sections = usize::from(short(head, at + 6)?);
        let (optional, optional_len) = (at + 24, usize::from(short(head, at + 20)?));
        let len = number(head, optional + 56)? as usize;
        // The seventh of a list of places.
        let is_wide = short(head, optional)? == WIDE;
        let debug = optional + if is_wide { 112 } else { 96 } + 6 * 8;
        let debug = match debug + 8 <= optional + optional_len {
            true => {
                let start = number(head, debug)? as usize;
                start..start.saturating_add(number(head, debug + 4)? as usize)
            }
            false => 0..0,
        };
        let mut identity = head.get(at..optional + optional_len + sections * SECTION)?.to_vec();
        // Where it is to be loaded, in which the loader notes where it is.
        let place = if is_wide { 24..32 } else { 28..32 };
        identity.get_mut(optional - at..)?.get_mut(place)?.fill(0);
        let (mut code, mut parts) = (0..0, Vec::new());
        for section in (optional + optional_len..).step_by(SECTION).take(sections) {
            let [size, start, file_size, file_start] =
                [8, 12, 16, 20].map(|field| number(head, section + field));
            let (start, file_start) = (start? as usize, u64::from(file_start?));
            let traits = number(head, section + 36)?;
            if traits & IS_CODE != 0 {
                let end = start.saturating_add(size? as usize);
                code = if code.is_empty() { start..end } else { code.start.min(start)..code.end.max(end) };
            }
            // Debug information is loaded by nobody.
            if traits & CAN_BE_DISCARDED == 0 && file_size? > 0 {
                parts.push(file_start..file_start + u64::from(file_size?));
            }
        }
        Some(Layout { len, code, parts, debug, identity })
    }
}

/// The length of an entry in the list of what debuggers know.
const ENTRY: usize = 28;

/// Where the name of the debug information lies, if that is what the entry is about.
fn code_view_place(entry: &[u8]) -> Option<Range<usize>> {
    const CODE_VIEW: u32 = 2;
    let (kind, len, start) = (number(entry, 12)?, number(entry, 16)? as usize, number(entry, 20)? as usize);
    (kind == CODE_VIEW).then_some(start..start.saturating_add(len))
}

/// A number of 16 bytes, another one for each link, and how often that was changed since.
fn code_view(record: &[u8]) -> Option<Vec<u8>> {
    record.strip_prefix(b"RSDS")?.get(..20).map(<[u8]>::to_vec)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::{Headers, Layout, PAGE};

    #[test]
    fn the_own_headers_name_where_this_code_lies() {
        let own = Headers::own().expect("a program has headers");
        let here = (the_own_headers_name_where_this_code_lies as fn() as *const ()).addr();
        assert!(own.code.contains(&here) && own.whole.contains(&here));
        assert!(own.parts.len() > 1 && own.parts.iter().all(|part| part.start < part.end));
    }

    #[test]
    fn headers_that_are_none_are_read_with_care() {
        let file = std::fs::read(std::env::current_exe().expect("a path")).expect("a file");
        let head = &file[..PAGE];
        assert!(Layout::read(head).is_some());
        for cut in 0..200 {
            assert!(Layout::read(&head[..cut]).is_none(), "{cut}");
        }
        assert!(Layout::read(&[0xff; PAGE]).is_none() && Layout::read(&[0; PAGE]).is_none());
    }
}
