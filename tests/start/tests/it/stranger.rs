//! Strangers: a worker works for the process that started it and for nobody else, and nobody else gets at its socket.

use crate::program::{Folder, Program, START, kill, limit, lines, patiently, run, skip};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const LOST: Option<i32> = Some(70);
const REFUSAL: &str = "under the name of a worker, and by no pool; start it under its own name";

fn mark() -> String {
    lines(&["mark"]).remove(0)
}

/// This program under a worker's name.
fn disguised(mark: &str) -> Command {
    let mut command = Command::new(START);
    command.arg0(mark).arg("refusal");
    command
}

#[test]
fn a_program_under_a_workers_name_that_no_pool_started() {
    limit(|| {
        let mark = mark();
        assert!(mark.starts_with("concurrent-futures-worker/"), "{mark}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let inputs = [Stdio::null(), reader.into(), fs::File::open(START).expect("a file").into()];
        for input in inputs {
            let said = disguised(&mark).stdin(input).output().expect("a program");
            let complaint = String::from_utf8_lossy(&said.stderr);
            assert_eq!((said.status.code(), said.stdout.len()), (LOST, 0), "{complaint}");
            assert!(complaint.contains(REFUSAL), "{complaint}");
        }
        drop(writer);
    });
}

/// Its socket must be its parent's own: one that somebody further up made says nothing about who asks.
#[test]
fn a_worker_listens_to_its_parent_alone() {
    limit(|| {
        let mark = mark();
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        // One that listens all the same has nothing to wait for.
        ours.shutdown(std::net::Shutdown::Write).expect("it is open");
        let said = Command::new(START).args(["pass-on", &mark]).stdin(OwnedFd::from(theirs)).output();
        let said = said.expect("a program");
        let complaint = String::from_utf8_lossy(&said.stderr);
        assert_eq!(String::from_utf8_lossy(&said.stdout), format!("{LOST:?}\n"), "{complaint}");
        assert!(complaint.contains(REFUSAL), "{complaint}");
        let mut heard = Vec::new();
        (&ours).read_to_end(&mut heard).expect("the end");
        assert_eq!(heard, b"", "it spoke to a stranger");
    });
}

/// Whoever starts a worker and gives it a socket is its parent, and could run any code in it anyway. But it speaks
/// first, and leaves at the first thing that is no welcome.
#[test]
fn a_worker_leaves_at_the_first_word_that_is_no_welcome() {
    limit(|| {
        let mark = mark();
        let head = |kind: u8, len: u64| {
            let mut head = [0; 24];
            head[0] = kind;
            head[16..].copy_from_slice(&len.to_le_bytes());
            head.to_vec()
        };
        let words = [
            vec![0; 24],
            vec![0xff; 200],
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            head(4, 0),
            head(2, 1 << 60),
            head(2, 17),
        ];
        for word in words {
            let (ours, theirs) = UnixStream::pair().expect("a pair");
            let mut worker = disguised(&mark)
                .stdin(OwnedFd::from(theirs))
                .stdout(Stdio::null())
                .spawn()
                .expect("a worker");
            let mut hello = [0; 44];
            (&ours).read_exact(&mut hello).expect("its hello");
            assert_eq!(hello[0], 1);
            (&ours).write_all(&word).expect("it listens");
            let status = worker.wait().expect("a status");
            assert_eq!(status.code(), LOST, "{word:?}");
        }
    });
}

#[test]
fn names_that_are_nearly_a_workers() {
    limit(|| {
        let mark = mark();
        let (copy, version) = (mark.rsplit('/').next().expect("a part"), env!("CARGO_PKG_VERSION"));
        let names = [
            String::new(),
            "concurrent-futures-worker/".to_owned(),
            format!("{mark}0"),
            format!("{mark} "),
            format!("./{mark}"),
            mark[..mark.len() - 1].to_owned(),
            mark.to_uppercase(),
            format!("concurrent-futures-worker/9.9.9-not-{version}/{copy}"),
            "x".repeat(100_000),
        ];
        for name in names {
            assert_eq!(run(disguised(&name).stdin(Stdio::null())), "built\nno child\n", "{name:.80?}");
        }
        assert_eq!(lines(&["nameless"]), ["checked"]);
    });
}

#[test]
fn an_environment_full_of_traps() {
    limit(|| {
        let mark = mark();
        let mut program = Command::new(START);
        program.arg("check");
        for name in ["CONCURRENT_FUTURES_WORKER", "CONCURRENT_FUTURES", "WORKER", "_", "ARGV0", "INIT"] {
            program.env(name, &mark);
        }
        for (name, value) in [
            ("RUST_MIN_STACK", "1"),
            ("RUST_BACKTRACE", "full"),
            ("RUST_LOG", "trace"),
            ("LD_BIND_NOW", "1"),
            ("MALLOC_PERTURB_", "85"),
            ("MALLOC_ARENA_MAX", "1"),
            ("PATH", ""),
            ("HOME", "/nowhere"),
            ("TMPDIR", "/nowhere"),
            ("LANG", "xx_XX.nothing"),
            ("TZ", ":/nowhere"),
            ("A NAME WITH SPACES", "a\nvalue\nof lines"),
        ] {
            program.env(name, value);
        }
        use std::os::unix::ffi::OsStringExt;
        program.env("NOT_TEXT", std::ffi::OsString::from_vec(vec![0xff, 0xfe, b'=']));
        program.env("LONG", "y".repeat(120_000));
        assert_eq!(run(&mut program), "checked\n");
        for odd in ["0", "nonsense", "-1"] {
            let mut program = Command::new(START);
            assert_eq!(run(program.arg("check").env("RUST_MIN_STACK", odd)), "checked\n", "{odd}");
        }
        // One for which no thread can be started by anybody.
        let mut program = Command::new(START);
        let said = run(program.arg("error").env("RUST_MIN_STACK", u64::MAX.to_string()));
        let why = "error: the pool is broken: the thread that drives a worker could not be started: Invalid argument";
        assert!(said.starts_with(why), "{said}");
    });
}

/// This test is that other process, and of the same user.
#[test]
fn another_process_does_not_get_at_the_socket() {
    limit(|| {
        let program = Program::start(&["hold", "idle"]);
        let worker = program.number("worker");
        assert_eq!(program.line(), "held");
        let table = fs::read_to_string("/proc/net/unix").expect("a table");
        let (mut sockets, mut values) = (0, 0);
        for pid in [program.child.id() as i32, worker] {
            for fd in fs::read_dir(format!("/proc/{pid}/fd")).expect("a folder").flatten() {
                let target = fs::read_link(fd.path()).unwrap_or_default().to_string_lossy().into_owned();
                let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'))
                else {
                    // The shared segment has no descriptor any more by which it could be had. The memory of large values
                    // has, and the worker can't write to its arguments by it.
                    if target.starts_with("/memfd:concurrent-futures-values") {
                        values += 1;
                        continue;
                    }
                    assert!(!target.contains("memfd") && !target.contains("/dev/shm"), "{pid}: {target}");
                    continue;
                };
                sockets += 1;
                // Number, count, protocol, flags, type, state, inode; and the name, if it has one.
                let row = table.lines().find(|row| row.split_whitespace().nth(6) == Some(inode));
                let columns = row.expect("each is in the table").split_whitespace().count();
                assert_eq!(columns, 7, "it has a name: {row:?}");
                let opened = fs::File::options().read(true).write(true).open(fd.path());
                assert_eq!(opened.expect_err("no way in").raw_os_error(), Some(libc::ENXIO));
                UnixStream::connect(fd.path()).expect_err("no way in");
            }
        }
        assert_eq!(sockets, 4, "two at each end: of tasks, and of what tasks log and report");
        assert_eq!(values, 4, "at each end one for arguments and one for results");
        kill(worker, libc::SIGKILL);
    });
}

/// With more rights than who starts it, a program is no worker whatever its name; it says so when asked for a pool.
#[test]
fn a_setuid_program_under_a_workers_name() {
    use std::os::unix::fs::PermissionsExt;
    limit(|| {
        let mark = mark();
        let folder = Folder::new("setuid-name");
        let program = folder.copy("program");
        const NOBODY: u32 = 65534;
        if std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).is_err() {
            return skip("only root can give a program away, so no setuid bit was tried");
        }
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("a setuid bit");
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut command = Command::new(&program);
        command.arg0(&mark).arg("refusal").stdin(OwnedFd::from(theirs));
        let said = patiently(|| command.output());
        drop(command);
        let text = String::from_utf8_lossy(&said.stdout);
        let mut heard = Vec::new();
        (&ours).read_to_end(&mut heard).expect("the end");
        if heard.first() == Some(&1) {
            return skip("setuid bits have no effect in the temporary folder (nosuid), so none was tried");
        }
        assert_eq!(heard, b"");
        assert!(text.starts_with("refused: ") && text.contains("a setuid bit"), "{text}");
    });
}
