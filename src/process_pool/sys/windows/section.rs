//! A section: memory that processes share by its handle. And views, which are parts of it as one process has them.

use super::Handle;
use super::handle::{check, owned};
use crate::process_pool::sys::mapped::Mapping;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::NonNull;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, InitializeAcl, InitializeSecurityDescriptor, SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR,
    SetSecurityDescriptorDacl,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEMORY_BASIC_INFORMATION,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_RESERVE,
    UnmapViewOfFile, VirtualAlloc, VirtualQuery,
};

/// When the system promises the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Promised {
    /// Now, all of it.
    Now,
    /// Part by part, by [`View::commit`].
    Later,
}

/// Makes a section of that many bytes, all zero, which the system gives no name.
pub(super) fn create(len: usize, promised: Promised) -> io::Result<Handle> {
    let len = len as u64;
    let commit = if promised == Promised::Now { SEC_COMMIT } else { SEC_RESERVE };
    closed_to_others(|attributes| {
        // SAFETY: no file and no name, and attributes that live for the call; the rest are values.
        let section = unsafe {
            CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                attributes,
                PAGE_READWRITE | commit,
                (len >> 32) as u32,
                len as u32,
                std::ptr::null(),
            )
        };
        // SAFETY: it was made just now.
        unsafe { owned(section) }
    })
}

/// Calls `make` with attributes by which nobody is given any right: a copy of a handle can give no more rights than the handle.
/// What has no such list has it that whoever holds a handle may ask for all.
fn closed_to_others<R>(make: impl FnOnce(*const SECURITY_ATTRIBUTES) -> io::Result<R>) -> io::Result<R> {
    const REVISION: u32 = 1;
    let (mut list, mut descriptor) = (ACL::default(), SECURITY_DESCRIPTOR::default());
    // SAFETY: room for a list without entries.
    check(unsafe { InitializeAcl(&raw mut list, size_of::<ACL>() as u32, ACL_REVISION) })?;
    let place = (&raw mut descriptor).cast();
    // SAFETY: room for a descriptor.
    check(unsafe { InitializeSecurityDescriptor(place, REVISION) })?;
    // SAFETY: a descriptor and a list, which it points to, and which live as long.
    check(unsafe { SetSecurityDescriptorDacl(place, 1, &raw const list, 0) })?;
    let size = size_of::<SECURITY_ATTRIBUTES>() as u32;
    make(&SECURITY_ATTRIBUTES { nLength: size, lpSecurityDescriptor: place, bInheritHandle: 0 })
}

/// What may be done by a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Write,
}

impl Access {
    /// The right to a section that it takes.
    pub(super) fn right(self) -> FILE_MAP {
        match self {
            Access::Read => FILE_MAP_READ,
            Access::Write => FILE_MAP_READ | FILE_MAP_WRITE,
        }
    }
}

/// A part of a section as this process has it.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) start: NonNull<u8>,
    pub(super) len: usize,
    access: Access,
}

// SAFETY: a view belongs to no thread.
unsafe impl Send for View {}
// SAFETY: what is done by a shared reference is the types' around it, and argued there.
unsafe impl Sync for View {}

impl View {
    /// `at` is a multiple of the system's grain, which is 64 KiB. With a `len` of 0, all from there on.
    pub(super) fn map(section: &Handle, at: usize, len: usize, access: Access) -> io::Result<Self> {
        let at = at as u64;
        // SAFETY: the handle is open; the system picks the place, so the new view touches no memory of ours.
        let place = unsafe {
            MapViewOfFile(section.as_raw_handle(), access.right(), (at >> 32) as u32, at as u32, len)
        };
        let Some(start) = NonNull::new(place.Value.cast()) else { return Err(io::Error::last_os_error()) };
        let mut view = View { start, len, access };
        if len == 0 {
            view.len = view.find_len()?;
        }
        Ok(view)
    }

    /// How long it is: whole pages.
    fn find_len(&self) -> io::Result<usize> {
        let (mut len, mut about) = (0, MEMORY_BASIC_INFORMATION::default());
        loop {
            let at = self.start.as_ptr().wrapping_add(len);
            // SAFETY: any address may be asked about, and there is room for the answer.
            let told = unsafe { VirtualQuery(at.cast(), &raw mut about, size_of_val(&about)) };
            if told == 0 && len == 0 {
                return Err(io::Error::last_os_error());
            }
            // Parts of it may have memory, and others not yet.
            if told == 0 || about.AllocationBase != self.start.as_ptr().cast() {
                return Ok(len);
            }
            len += about.RegionSize;
        }
    }

    /// Has the system find the memory for a part now, for every process that has the section.
    pub(super) fn commit(&self, at: usize, len: usize) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        if !self.has(at, len) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = if self.access == Access::Write { PAGE_READWRITE } else { PAGE_READONLY };
        let place = self.start.as_ptr().wrapping_add(at).cast();
        // SAFETY: the range is our view's, and what is in it already stays as it is.
        let place = unsafe { VirtualAlloc(place, len, MEM_COMMIT, protection) };
        check((!place.is_null()).into())
    }
}

// SAFETY: the system maps whole pages, and they stay until the drop.
unsafe impl Mapping for View {
    fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// A view of a section that nobody can write to, or that nobody else has.
#[derive(Debug)]
pub(super) struct OwnView(View);

impl OwnView {
    /// # Safety
    ///
    /// While this view is there nobody writes to the section but by it, and all of it has memory.
    pub(super) unsafe fn new(view: View) -> Self {
        OwnView(view)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the view is that long and lives as long as `self`; whoever made it says that nobody else writes.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(self.0.access == Access::Write, "a view to read");
        // SAFETY: as above, by an exclusive reference.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr(), self.0.len) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let address = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.start.as_ptr().cast() };
        // SAFETY: the view is ours alone, and borrows of it end before `self` does.
        unsafe { UnmapViewOfFile(address) };
    }
}
