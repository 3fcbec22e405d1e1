//! What the system asks for when there is no pool: another process that sends back what it gets, the same behind a thread
//! that stands where a driver would, and a process that does nothing at all.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::{env, io};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

const ECHO: &str = "stand-in-echo";
const EXIT: &str = "stand-in-exit";

/// If this process was started as one of the below, it is that one, and never comes back. To be called first in `main`.
pub(crate) fn stand_in() -> bool {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some(EXIT) => true,
        Some(ECHO) => {
            let bytes = arguments.next().and_then(|bytes| bytes.parse().ok()).expect("started by ourselves");
            let socket = io::stdin().as_fd().try_clone_to_owned().expect("a descriptor can be had");
            echo(UnixStream::from(socket), bytes);
            true
        }
        _ => false,
    }
}

fn echo(mut socket: UnixStream, bytes: usize) {
    let mut message = vec![0; bytes];
    while socket.read_exact(&mut message).is_ok() && socket.write_all(&message).is_ok() {}
}

fn myself(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    command
}

/// Starts this program, which leaves at once, and waits for its end.
pub(super) fn spawn_and_exit() {
    let status = myself(&[EXIT]).status().expect("this program can be started");
    assert!(status.success());
}

/// The same with so many at once.
pub(super) fn spawn_all_and_exit(processes: usize) {
    let start = |_| myself(&[EXIT]).spawn().expect("this program can be started");
    let children: Vec<Child> = (0..processes).map(start).collect();
    for mut child in children {
        assert!(child.wait().is_ok_and(|status| status.success()));
    }
}

/// Two processes and a socketpair.
pub(super) struct Echo {
    socket: Option<UnixStream>,
    child: Child,
    message: Vec<u8>,
}

impl Echo {
    pub(super) fn start(bytes: usize) -> Self {
        let (socket, theirs) = UnixStream::pair().expect("a socketpair can be had");
        let mut command = myself(&[ECHO, &bytes.to_string()]);
        let child = command.stdin(OwnedFd::from(theirs)).spawn().expect("this program can be started");
        Self { socket: Some(socket), child, message: vec![1; bytes] }
    }

    fn socket(&self) -> &UnixStream {
        self.socket.as_ref().expect("taken only by the drop")
    }

    fn send(&self) {
        self.socket().write_all(&self.message).expect("the other process reads");
    }

    fn receive(&mut self) {
        let mut socket = self.socket.as_ref().expect("taken only by the drop");
        socket.read_exact(&mut self.message).expect("the other process answers");
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn trip(&mut self) {
        self.send();
        self.receive();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.socket.take());
        let _ = self.child.wait();
    }
}

/// The same with a driver's thread in between, which has to watch both sides.
pub(super) struct Chain {
    shared: Arc<Shared>,
    driver: Option<JoinHandle<()>>,
}

struct Shared {
    bell: OwnedFd,
    back: AtomicBool,
    over: AtomicBool,
}

impl Chain {
    pub(super) fn start(bytes: usize) -> Self {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd can be had");
        let shared = Arc::new(Shared { bell, back: AtomicBool::new(false), over: AtomicBool::new(false) });
        let (theirs, user) = (shared.clone(), thread::current());
        let driver = thread::spawn(move || {
            let mut echo = Echo::start(bytes);
            loop {
                let (rung, readable) = sleep(&theirs.bell, echo.socket());
                if rung {
                    let _ = rustix::io::read(&theirs.bell, &mut [0_u8; 8]);
                    if theirs.over.load(SeqCst) {
                        return;
                    }
                    echo.send();
                }
                if readable {
                    echo.receive();
                    theirs.back.store(true, SeqCst);
                    user.unpark();
                }
            }
        });
        Self { shared, driver: Some(driver) }
    }

    /// To be called by the thread that started it.
    pub(super) fn trip(&self) {
        self.ring();
        while !self.shared.back.swap(false, SeqCst) {
            thread::park();
        }
    }

    fn ring(&self) {
        rustix::io::write(&self.shared.bell, &1_u64.to_ne_bytes()).expect("a bell can be rung");
    }
}

fn sleep(bell: &OwnedFd, socket: &UnixStream) -> (bool, bool) {
    let mut fds = [PollFd::new(bell, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
    poll(&mut fds, None).expect("two descriptors can be polled");
    let [rung, readable] = fds.map(|fd| fd.revents().contains(PollFlags::IN));
    (rung, readable)
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.ring();
        let _ = self.driver.take().map(JoinHandle::join);
    }
}
