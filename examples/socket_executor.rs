//! An executor whose tasks run at the other end of a socket: what a cluster's transport has to do, in little.
//!
//! One end keeps each task until its reply comes, and answers when a future is cancelled or killed (`Carrier`). The other
//! end runs no code of the user's itself: it has a pool of processes run the parcels that it receives, so that a crash
//! costs one task. Here both are in one program; between machines the socket is another one, and must authenticate what it
//! delivers, since a parcel can name any function of the program.
//!
//! `cargo run --example socket_executor`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

#[cfg(not(unix))]
use std::net::TcpStream as Stream;
#[cfg(unix)]
use std::os::unix::net::UnixStream as Stream;

use concurrent_futures::prelude::*;
use concurrent_futures::remote::ReturnAddress;
use concurrent_futures::{
    CancelHandle, Carrier, Future, FutureId, Parcel, Registration, State, Task, TaskError, WorkerLost,
};

/// How many tasks are at the other end at once: the rest can still be cancelled.
const WINDOW: usize = 4;

#[cfg(unix)]
fn pair() -> io::Result<(Stream, Stream)> {
    Stream::pair()
}

/// Where there are no socket pairs.
#[cfg(not(unix))]
fn pair() -> io::Result<(Stream, Stream)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let near = Stream::connect(listener.local_addr()?)?;
    let (far, peer) = listener.accept()?;
    // Another process may have been quicker.
    if peer == near.local_addr()? { Ok((near, far)) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

/// The near end.
struct SocketExecutor(Arc<Near>);

struct Near {
    registration: Registration,
    book: Mutex<Book>,
}

/// Where each task is that has no result yet.
struct Book {
    waiting: VecDeque<(Task, Parcel)>,
    sent: HashMap<u64, Task>,
    stream: Stream,
}

impl SocketExecutor {
    fn new(stream: Stream) -> io::Result<Self> {
        let mut replies = stream.try_clone()?;
        let near = Arc::new_cyclic(|me: &Weak<Near>| Near {
            registration: Registration::new(me.clone()),
            book: Mutex::new(Book { waiting: VecDeque::new(), sent: HashMap::new(), stream }),
        });
        let receiver = Arc::downgrade(&near);
        thread::spawn(move || {
            while let (Ok((_, reply)), Some(near)) = (receive(&mut replies), receiver.upgrade()) {
                near.complete(&reply);
            }
            if let Some(near) = receiver.upgrade() {
                near.lose_all();
            }
        });
        Ok(Self(near))
    }
}

impl Executor for SocketExecutor {
    fn execute(&self, mut task: Task) {
        // From here on the argument is in memory once, in the parcel.
        match task.encode_once() {
            Ok(parcel) if task.dispatch(&self.0.registration) => {
                self.0.book().waiting.push_back((task, parcel));
                self.0.send();
            }
            Ok(_) => {} // cancelled already
            Err(error) => drop(task.fail(error)),
        }
    }
}

impl Near {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what the window has room for.
    fn send(&self) {
        let book = &mut *self.book();
        while book.sent.len() < WINDOW
            && let Some((task, parcel)) = book.waiting.pop_front()
        {
            // A socket that is gone ends the receiver, which then ends what was sent.
            let _ = send(&mut book.stream, b'p', parcel.as_bytes());
            book.sent.insert(task.id().get(), task);
        }
    }

    fn complete(&self, reply: &[u8]) {
        let Ok(address) = ReturnAddress::of_reply(reply) else { return };
        let task = self.book().sent.remove(&address.task());
        // Without the lock: this calls the user's callbacks. What is no reply to the task comes back with it.
        if let Some(Err((task, error))) = task.map(|task| task.try_complete(reply)) {
            task.fail(TaskError::Codec(error));
        }
        self.send();
    }

    fn lose_all(&self) {
        let lost: Vec<Task> = self.book().sent.drain().map(|(_, task)| task).collect();
        for task in lost {
            let label = task.options().get_label().cloned();
            let lost = WorkerLost::new("far end").with_task(task.id(), label);
            task.fail(TaskError::WorkerLost(lost));
        }
    }
}

impl Carrier for Near {
    fn take_back(&self, id: FutureId) -> Option<Task> {
        let mut book = self.book();
        let at = book.waiting.iter().position(|(task, _)| task.id() == id)?;
        book.waiting.remove(at).map(|(task, _)| task)
    }

    fn state(&self, id: FutureId) -> State {
        let is_sent = self.book().sent.contains_key(&id.get());
        if is_sent { State::Running } else { State::Queued }
    }

    fn kill(&self, id: FutureId) -> bool {
        let mut book = self.book();
        book.sent.contains_key(&id.get()) && send(&mut book.stream, b'k', &id.get().to_le_bytes()).is_ok()
    }
}

/// The far end: until the stream ends, it has `pool` run what comes.
fn serve(mut stream: Stream, pool: &ProcessPoolExecutor) -> io::Result<()> {
    let replies = Arc::new(Mutex::new(stream.try_clone()?));
    let mut running: HashMap<u64, CancelHandle> = HashMap::new();
    while let Ok((kind, body)) = receive(&mut stream) {
        match (kind, Parcel::from_bytes(body.clone())) {
            (b'p', Ok(parcel)) => {
                let address = parcel.return_address();
                // SAFETY: the stream is this program's own, and both ends are the same build.
                let (task, future) = unsafe { Task::forward(parcel) };
                running.insert(address.task(), future.cancel_handle());
                let replies = replies.clone();
                future.on_done(move |outcome| {
                    let mut stream = replies.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = send(&mut stream, b'r', &address.reply(outcome));
                });
                pool.execute(task);
            }
            (b'k', _) => {
                let task = body.try_into().map(u64::from_le_bytes).unwrap_or(0);
                running.get(&task).map(CancelHandle::kill);
            }
            (_, Err(error)) => eprintln!("the far end received no parcel: {error}"),
            _ => {}
        }
    }
    Ok(())
}

fn send(stream: &mut Stream, kind: u8, body: &[u8]) -> io::Result<()> {
    let head = (body.len() as u64).to_le_bytes();
    stream.write_all(&[&[kind], &head[..], body].concat())
}

fn receive(stream: &mut Stream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [kind, len @ ..] = head;
    let mut body = vec![0; usize::try_from(u64::from_le_bytes(len)).map_err(io::Error::other)?];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (near, far) = pair()?;
    let pool = ProcessPoolExecutor::builder().max_workers(2).on_behalf_of("socket").build()?;
    let node = thread::spawn(move || serve(far, &pool));

    let executor = SocketExecutor::new(near)?;
    let squares: Vec<u64> = executor.map(|n: u64| n * n, 1..=10).collect::<Result<_, _>>()?;
    println!("squares, by processes at the other end: {squares:?}");

    let crash = executor.submit::<_, ()>(|()| std::process::abort(), ()).result();
    println!("a task that aborts costs itself: {}", crash.err().ok_or("it ended well")?);

    let endless = |()| loop {
        thread::park();
    };
    let running: Vec<Future<()>> = (0..WINDOW).map(|_| executor.submit(endless, ())).collect();
    let waiting = executor.submit(|n: u64| n + 1, 1);
    println!("behind {WINDOW} endless ones a task is {:?}; cancelled: {}", waiting.state(), waiting.cancel());
    // So that some have begun: those that have not are taken back by the far end's pool.
    thread::sleep(Duration::from_millis(300));
    for future in running {
        println!("killed: {}", future.kill());
        println!("  {}", future.result().err().ok_or("it ended well")?);
    }

    // Closes the socket, which ends the other end.
    executor.0.book().stream.shutdown(std::net::Shutdown::Both)?;
    node.join().map_err(|_| "the other end panicked")??;
    Ok(())
}
