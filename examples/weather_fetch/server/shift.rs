//! The time from a server's coming to its going away: a port it listens on, and the connections it has open.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    Shared,
    end::{End, Until},
    serve,
};

/// Enough for the frames of a connection's thread, in the dev profile too.
const STACK: usize = 128 * 1024;

/// Serves until it is dropped; then its connections have ended and its threads are done.
pub(crate) struct Shift {
    address: SocketAddr,
    open: Arc<Open>,
    until: Option<Until>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// What the threads of a shift share.
pub(crate) struct Open {
    /// Of the shift: nobody sleeps on then.
    pub(crate) end: End,
    connections: Mutex<Connections>,
    fewer: Condvar,
}

#[derive(Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, Arc<TcpStream>>,
}

impl Shift {
    pub(crate) fn begin(listener: TcpListener, shared: &Arc<Shared>) -> io::Result<Self> {
        let (address, (until, end)) = (listener.local_addr()?, End::new());
        let open = Arc::new(Open { end, connections: Mutex::default(), fewer: Condvar::new() });
        let accepting = thread::Builder::new().name("server".to_owned()).spawn({
            let (open, shared) = (Arc::clone(&open), Arc::clone(shared));
            move || accept(&listener, &open, &shared)
        })?;
        Ok(Self { address, open, until: Some(until), accepting: Some(accepting) })
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        self.until = None;
        drop(TcpStream::connect(self.address)); // wakes the accepting thread
        if let Some(accepting) = self.accepting.take() {
            // A thread that panicked has said so already.
            let _ = accepting.join();
        }
        let mut connections = self.open.lock();
        for connection in connections.open.values() {
            // Fails for one that the client has ended, which is as well.
            let _ = connection.shutdown(Shutdown::Both);
        }
        while !connections.open.is_empty() {
            connections = self.open.fewer.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is known to its shift, until it is dropped.
struct Entry {
    number: u64,
    open: Arc<Open>,
}

impl Entry {
    fn new(connection: &Arc<TcpStream>, open: &Arc<Open>) -> Self {
        let mut connections = open.lock();
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, Arc::clone(connection));
        Self { number, open: Arc::clone(open) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut connections = self.open.lock();
        connections.open.remove(&self.number);
        self.open.fewer.notify_all();
    }
}

fn accept(listener: &TcpListener, open: &Arc<Open>, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if open.end.has_come() {
            return;
        }
        let Ok(connection) = connection.map(Arc::new) else { continue };
        let entry = Entry::new(&connection, open);
        let shared = Arc::clone(shared);
        // Where the system has no thread left the connection is dropped: the client asks again.
        let _ = thread::Builder::new().name("connection".to_owned()).stack_size(STACK).spawn(move || {
            // An error is the client's going away; it shows there.
            let _ = serve(&connection, &shared, &entry.open);
            drop(connection);
            drop(entry); // the last that keeps it open
        });
    }
}
