//! The stream between a driver and its worker: a pipe both ways, by which a handle can be passed as well.
//!
//! What goes through it is cut into *chunks*: their length, the handle that comes with them as the reader has it, and the bytes.
//! One without bytes is the end of what its sender has to say; a pipe can't be closed for one direction.

use super::handle::{Rights, check, copy_into, duplicate, owned};
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
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_OPERATION_ABORTED, ERROR_PIPE_NOT_CONNECTED,
    GENERIC_READ, GENERIC_WRITE, HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX,
    SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, DisconnectNamedPipe, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
    PIPE_WAIT, PeekNamedPipe,
};

use windows_sys::Win32::System::Threading::GetCurrentThreadId;

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
    /// The thread that may leave a write under way: when a thread ends, the system cancels what it has begun. 0 until one has
    /// sent something or slept.
    owner: AtomicU32,
    /// The end of who has made the pipe.
    is_of_parent: bool,
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
    /// A write has failed: of what was sent since nobody knows what has arrived.
    has_failed: bool,
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
        let mut ours = Socket::from_handle(ours)?;
        ours.is_of_parent = true;
        Ok((ours, theirs))
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
        let writing = Writing { operation: writing, has_failed: false, last: None };
        Ok(Socket {
            pipe,
            reading: Mutex::new(reading),
            writing: Mutex::new(writing),
            arrival,
            room,
            worker: OnceLock::new(),
            owner: AtomicU32::new(0),
            is_of_parent: false,
        })
    }

    /// Names who is at the other end: handles are copied into it.
    pub(crate) fn attach(&self, worker: &Child) -> io::Result<()> {
        let _ = self.worker.set(duplicate(worker)?);
        Ok(())
    }

    /// Waits until the system has all that was sent, and no longer than that: then it arrives whatever becomes of this process.
    pub(crate) fn await_taken(&self, time: Duration) {
        if !self.has_room() {
            super::await_room(self, time);
        }
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

    /// From now on the calling thread is the one that may leave a write under way. It outlives the socket, or hands it on when all
    /// it has sent [is taken](Self::is_taken).
    pub(super) fn own(&self) {
        self.owner.store(thread_id(), Ordering::Relaxed);
    }

    fn is_own(&self) -> bool {
        let own = thread_id();
        let owner = self.owner.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
        owner.is_ok() || owner == Err(own)
    }

    /// Whether the system has all that was sent, so that it arrives whatever becomes of this thread and this process.
    pub(crate) fn is_taken(&self) -> bool {
        self.has_room()
    }

    /// Whether the process at the other end has it open.
    pub(super) fn is_connected(&self) -> bool {
        let nothing = std::ptr::null_mut;
        // SAFETY: the handle is open, and nothing is asked for.
        let looked = unsafe {
            PeekNamedPipe(
                self.pipe.as_raw_handle(),
                nothing(),
                0,
                nothing().cast(),
                nothing().cast(),
                nothing().cast(),
            )
        };
        check(looked).is_ok()
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
        let settled = self.writing.lock().settle(Blocking::No);
        settled.unwrap_or_else(|error| {
            self.end_after(&error);
            true
        })
    }

    /// Where a write has failed to a peer that lives, half a chunk may have gone, and what comes next would be taken for its
    /// rest: both sides are to find the end. A peer that is gone may have left replies, which are still to be read.
    fn end_after(&self, error: &io::Error) {
        let code = error.raw_os_error().map(i32::cast_unsigned);
        // A process at its end lets nobody copy a handle into it.
        let is_gone = matches!(code, Some(ERROR_NO_DATA | ERROR_ACCESS_DENIED)) || is_end(error);
        if code.is_some() && !is_gone {
            self.shut_down();
        }
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
        // What another thread would leave under way is the owner's to send: whoever finds no room wakes it.
        if blocking == Blocking::No && self.is_of_parent && !self.is_own() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut writing = self.writing.lock();
        let sent = self.write_chunk(&mut writing, parts, handle, blocking);
        if let Err(error) = &sent
            && error.kind() != io::ErrorKind::WouldBlock
        {
            writing.has_failed = true;
            self.end_after(error);
        }
        sent
    }

    fn write_chunk(
        &self,
        writing: &mut Writing,
        parts: &[IoSlice<'_>],
        handle: Option<&Handle>,
        blocking: Blocking,
    ) -> io::Result<usize> {
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
        let mut got = 0;
        loop {
            while !reading.has_bytes() {
                let blocking = if got == 0 { blocking } else { Blocking::No };
                match reading.fill(blocking) {
                    Ok(true) => {}
                    Ok(false) if got == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                    Err(error) if got == 0 => return Err(error),
                    // The next read finds the error.
                    Ok(false) | Err(_) => return Ok(got),
                }
            }
            std::mem::take(&mut reading.arrived).into_iter().try_for_each(&mut adopt)?;
            match reading.take(into) {
                0 => return Ok(got),
                more => got += more,
            }
        }
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
            // The thread that began it has ended. A read that is cancelled has taken nothing: the next begins anew.
            Some(Err(error)) if is_cancelled(&error) => {}
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
        if self.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.operation.is_under_way() {
            return Ok(true);
        }
        match self.operation.end(blocking == Blocking::Yes) {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => {
                self.has_failed = true;
                Err(error)
            }
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

fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_OPERATION_ABORTED.cast_signed())
}

fn thread_id() -> u32 {
    // SAFETY: asks for a number, which is never 0.
    unsafe { GetCurrentThreadId() }
}

/// One that nobody has guessed.
fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let (pid, random) = (std::process::id(), RandomState::new().build_hasher().finish());
    format!(r"\\.\pipe\concurrent-futures-{pid}-{count}-{random:x}")
}

#[cfg(test)]
mod tests;
