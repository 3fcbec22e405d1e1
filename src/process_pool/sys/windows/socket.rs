//! The stream between a driver and its worker: a pipe both ways, by which a handle can be passed as well.
//!
//! What goes through it is cut into *chunks*: their length, the handle that comes with them as the reader has it, and the bytes.
//! One without bytes is the end of what its sender has to say; a pipe can't be closed for one direction.

use super::handle::{Rights, copy_into, duplicate, owned};
use super::operation::Operation;
use super::stdio::take_stdin;
use super::{Child, Handle};
use crate::process_pool::wire::frames::{Blocking, HandleQueue, Stream};
use crate::process_pool::wire::message::ProtocolError;
use crate::sync::OnceLock;
use crate::sync::plain::{AtomicU32, Mutex, Ordering};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED, GENERIC_READ, GENERIC_WRITE, HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX,
    SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, DisconnectNamedPipe, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
    PIPE_WAIT,
};

/// Bytes that the system takes before a writer has to wait, and the most that is read or written at a time.
const ROOM: usize = 64 << 10;

/// What stands before the bytes of a chunk: how many, and the handle or 0. A handle's upper half is always zeros.
const HEAD: usize = 8;

/// One end of the stream between a driver and its worker.
pub(crate) struct Socket {
    pipe: Arc<Handle>,
    reading: Mutex<Reading>,
    writing: Mutex<Writing>,
    /// Set when a read that was begun is done.
    arrival: Arc<Handle>,
    /// Set when no write is under way.
    room: Arc<Handle>,
    /// Where handles are passed to.
    worker: OnceLock<Handle>,
}

struct Reading {
    operation: Operation,
    /// Of what was read last.
    unread: Range<usize>,
    /// The beginning of a chunk's head.
    head: Vec<u8>,
    /// Bytes of the chunk that are still to come.
    left: usize,
    /// Handles as the other side has named them, for bytes that were not taken yet.
    arrived: Vec<u32>,
    /// The other side will say nothing more.
    is_over: bool,
}

struct Writing {
    operation: Operation,
    /// The chunk without bytes.
    last: Option<Operation>,
}

impl Socket {
    /// Two connected ends. No program started from this process inherits them by accident.
    pub(crate) fn pair() -> io::Result<(Socket, Handle)> {
        let name: Vec<u16> = new_name().encode_utf16().chain([0]).collect();
        let kind = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE;
        let mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
        let size = ROOM as u32;
        // SAFETY: a text that ends with a zero, and no attributes; the rest are values.
        let ours = unsafe { CreateNamedPipeW(name.as_ptr(), kind, mode, 1, size, size, 0, std::ptr::null()) };
        // SAFETY: it was made just now.
        let ours = unsafe { owned(ours) }?;
        let (rights, identity) =
            (GENERIC_READ | GENERIC_WRITE, SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION);
        // The pipe has one other end: if somebody has taken it, this fails.
        // SAFETY: as above.
        let theirs = unsafe {
            CreateFileW(
                name.as_ptr(),
                rights,
                0,
                std::ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED | identity,
                std::ptr::null_mut(),
            )
        };
        // SAFETY: it was made just now.
        let theirs = unsafe { owned(theirs) }?;
        Ok((Socket::from_handle(ours)?, theirs))
    }

    /// The worker's end: its standard input, which is empty from then on.
    pub(crate) fn from_parent() -> io::Result<Self> {
        take_stdin().and_then(Socket::from_handle)
    }

    pub(crate) fn from_handle(pipe: Handle) -> io::Result<Self> {
        let pipe = Arc::new(pipe);
        let (reading, writing) = (Operation::new(&pipe)?, Operation::new(&pipe)?);
        let (arrival, room) = (reading.done(), writing.done());
        let (unread, head, arrived) = (0..0, Vec::new(), Vec::new());
        let reading = Reading { operation: reading, unread, head, left: 0, arrived, is_over: false };
        let writing = Writing { operation: writing, last: None };
        Ok(Socket {
            pipe,
            reading: Mutex::new(reading),
            writing: Mutex::new(writing),
            arrival,
            room,
            worker: OnceLock::new(),
        })
    }

    /// Names who is at the other end: handles are copied into it.
    pub(crate) fn attach(&self, worker: &Child) -> io::Result<()> {
        let _ = self.worker.set(duplicate(worker)?);
        Ok(())
    }

    /// Tells the peer that nothing more will be sent.
    pub(crate) fn close_write(&self) {
        let mut writing = self.writing.lock();
        if writing.last.is_some() {
            return;
        }
        let Ok(mut last) = Operation::new(&self.pipe) else { return self.shut_down() };
        last.buffer().resize(HEAD, 0);
        // Behind what is still under way. It fails only if the peer is gone.
        let _ = last.write();
        writing.last = Some(last);
    }

    /// Ends the connection for both sides, and drops what was not read. Only the end that made the pipe can do so.
    pub(crate) fn shut_down(&self) {
        // SAFETY: the handle is open. It fails only if the peer is gone.
        unsafe { DisconnectNamedPipe(self.pipe.as_raw_handle()) };
    }

    /// Sees to it that [`arrival`](Self::arrival) is set when there is something to read; true if there is already.
    pub(super) fn begin_reading(&self) -> bool {
        let mut reading = self.reading.lock();
        while !reading.has_bytes() {
            match reading.fill(Blocking::No) {
                Ok(true) => {}
                Ok(false) => return false,
                // Whoever reads finds the error.
                Err(_) => return true,
            }
        }
        true
    }

    pub(super) fn arrival(&self) -> BorrowedHandle<'_> {
        self.arrival.as_handle()
    }

    /// Whether something could be sent now, be it the error that nobody is there.
    pub(super) fn has_room(&self) -> bool {
        self.writing.lock().settle(Blocking::No).unwrap_or(true)
    }

    pub(super) fn room(&self) -> BorrowedHandle<'_> {
        self.room.as_handle()
    }

    fn send_chunk(
        &self,
        parts: &[IoSlice<'_>],
        handle: Option<&Handle>,
        blocking: Blocking,
    ) -> io::Result<usize> {
        let mut writing = self.writing.lock();
        if !writing.settle(blocking)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let handle = match handle {
            Some(handle) => self.pass(handle)?.addr() as u32,
            None => 0,
        };
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let len = size.min(ROOM - HEAD);
        let buffer = writing.operation.buffer();
        buffer.clear();
        buffer.extend_from_slice(&(len as u32).to_ne_bytes());
        buffer.extend_from_slice(&handle.to_ne_bytes());
        for part in parts {
            let room = HEAD + len - buffer.len();
            buffer.extend_from_slice(&part[..part.len().min(room)]);
        }
        writing.operation.write()?;
        if blocking == Blocking::Yes {
            // What the system has taken arrives, also if this process ends at once.
            writing.settle(blocking)?;
        }
        Ok(len)
    }

    /// Another handle for the same, in the worker.
    fn pass(&self, handle: &Handle) -> io::Result<HANDLE> {
        let worker = self.worker.get().ok_or(io::ErrorKind::NotConnected)?;
        copy_into(worker.as_handle(), handle.as_handle(), Rights::Same)
    }

    fn receive_chunks(
        &self,
        into: &mut Vec<u8>,
        blocking: Blocking,
        mut adopt: impl FnMut(u32) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut reading = self.reading.lock();
        while !reading.has_bytes() {
            if !reading.fill(blocking)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        std::mem::take(&mut reading.arrived).into_iter().try_for_each(&mut adopt)?;
        Ok(reading.take(into))
    }
}

impl Reading {
    /// Whether bytes of a chunk are here, or there will be none any more. Reads the heads of chunks on the way.
    fn has_bytes(&mut self) -> bool {
        while self.left == 0 && !self.unread.is_empty() && !self.is_over {
            let missing = HEAD - self.head.len();
            let part = self.unread.start..self.unread.end.min(self.unread.start + missing);
            self.unread.start = part.end;
            let bytes = &self.operation.buffer()[part];
            self.head.extend_from_slice(bytes);
            if let Some((len, handle)) = self.head.as_chunks::<4>().0.split_first()
                && let [handle] = handle
            {
                self.left = u32::from_ne_bytes(*len) as usize;
                let handle = u32::from_ne_bytes(*handle);
                self.arrived.extend((handle != 0).then_some(handle));
                self.is_over = self.left == 0;
                self.head.clear();
            }
        }
        self.is_over || (self.left > 0 && !self.unread.is_empty())
    }

    /// Reads once, when nothing of what was read before is left; false if there is nothing at the moment.
    fn fill(&mut self, blocking: Blocking) -> io::Result<bool> {
        let begun = if self.operation.is_under_way() { Ok(()) } else { self.operation.read(ROOM) };
        let ended = match begun {
            Ok(()) => self.operation.end(blocking == Blocking::Yes),
            Err(error) => Some(Err(error)),
        };
        match ended {
            None => return Ok(false),
            Some(Ok(bytes)) => self.unread = 0..bytes,
            Some(Err(error)) if is_end(&error) => self.is_over = true,
            Some(Err(error)) => return Err(error),
        }
        Ok(true)
    }

    /// What is here of the chunk, as far as there is room.
    fn take(&mut self, into: &mut Vec<u8>) -> usize {
        let room = into.capacity() - into.len();
        let len = self.left.min(self.unread.len()).min(room);
        let part = self.unread.start..self.unread.start + len;
        self.unread.start = part.end;
        self.left -= len;
        into.extend_from_slice(&self.operation.buffer()[part]);
        len
    }
}

impl Writing {
    /// Whether no write is under way; an error if the last one failed.
    fn settle(&mut self, blocking: Blocking) -> io::Result<bool> {
        if !self.operation.is_under_way() {
            return Ok(true);
        }
        match self.operation.end(blocking == Blocking::Yes) {
            None => Ok(false),
            Some(ended) => ended.map(|_| true),
        }
    }
}

impl Stream for Socket {
    fn receive(&self, into: &mut Vec<u8>, blocking: Blocking) -> io::Result<usize> {
        self.receive_chunks(into, blocking, |_| {
            Err(io::Error::other(ProtocolError("a handle from who may send none")))
        })
    }

    fn send(&self, parts: &[IoSlice<'_>], blocking: Blocking) -> io::Result<usize> {
        self.send_chunk(parts, None, blocking)
    }

    fn receive_with_handles(
        &self,
        into: &mut Vec<u8>,
        handles: &mut HandleQueue,
        blocking: Blocking,
    ) -> io::Result<usize> {
        self.receive_chunks(into, blocking, |handle| {
            let handle = std::ptr::with_exposed_provenance_mut(handle as usize);
            // SAFETY: the parent, which this process trusts, has put the handle into it for whoever reads this.
            handles.handles.push_back(unsafe { Handle::from_raw_handle(handle) });
            Ok(())
        })
    }

    fn send_with_handle(&self, bytes: &[u8], handle: &Handle) -> io::Result<usize> {
        self.send_chunk(&[IoSlice::new(bytes)], Some(handle), Blocking::No)
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Socket").field(&self.pipe).finish()
    }
}

/// The other side has closed its end, or is gone.
fn is_end(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(code, Some(ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED))
}

/// One that nobody has guessed.
fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let (pid, random) = (std::process::id(), RandomState::new().build_hasher().finish());
    format!(r"\\.\pipe\concurrent-futures-{pid}-{count}-{random:x}")
}
