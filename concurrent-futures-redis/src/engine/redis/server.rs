//! A server of its own for a test: on a private port of 127.0.0.1, ended by its pid with the value.

use super::RedisServer;
use crate::engine::Engine;
use crate::engine::conformance::Harness;
use parking_lot::Mutex;
use redis::{Client, Connection, cmd};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// Names the server programs to test with, with colons between.
const SERVERS: &str = "CONCURRENT_FUTURES_REDIS_SERVERS";

/// The server programs that are here.
pub(crate) fn programs() -> Vec<PathBuf> {
    if let Some(named) = env::var_os(SERVERS) {
        return env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| {
        env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
    };
    ["redis-server", "valkey-server"].into_iter().filter_map(find).collect()
}

pub(crate) struct TestServer {
    program: PathBuf,
    directory: PathBuf,
    running: Mutex<(Child, u16)>,
}

impl TestServer {
    pub(crate) fn start(program: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("concurrent-futures-redis-{}-{number}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let running = Mutex::new(Self::run(program, &directory, None, false));
        TestServer { program: program.to_owned(), directory, running }
    }

    /// Runs the program until it answers; on another port if somebody else has taken it meanwhile.
    fn run(program: &Path, directory: &Path, port: Option<u16>, has_log: bool) -> (Child, u16) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let port = port
                .unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
            let mut child = Command::new(program)
                .args([
                    "--port",
                    &port.to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    if has_log { "yes" } else { "no" },
                ])
                .args(["--daemonize", "no", "--dir"])
                .arg(directory)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
                // Another server on the port would answer as well: this one must be alive and be the one that answers. Of what
                // it has kept it may still read.
                if let Ok(mut connection) = connect(port)
                    && let Ok(info) = cmd("INFO").query::<String>(&mut connection)
                    && info.contains(&format!("process_id:{}\r", child.id()))
                    && info.contains("\nloading:0\r")
                {
                    return (child, port);
                }
                thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
        panic!("{} does not start", program.display());
    }

    fn connection(&self) -> Connection {
        connect(self.running.lock().1).unwrap()
    }

    fn restart(&self) {
        self.restart_when(false, || {});
    }

    fn restart_when(&self, has_log: bool, is_down: impl FnOnce()) {
        let mut running = self.running.lock();
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        is_down();
        *running = Self::run(&self.program, &self.directory, Some(running.1), has_log);
    }

    /// From here on it writes a log of all that changes.
    #[cfg(unix)]
    pub(crate) fn keep_log(&self) {
        self.set("appendonly", "yes");
        let is_so = |info: &str| info.contains("aof_enabled:1") && info.contains("aof_rewrite_in_progress:0");
        let is_due = |info: &str| info.contains("aof_rewrite_scheduled:1");
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut info: String = self.query(&["INFO", "persistence"]);
        while !is_so(&info) || is_due(&info) {
            assert!(Instant::now() < deadline, "{info}");
            thread::sleep(Duration::from_millis(5));
            info = self.query(&["INFO", "persistence"]);
        }
    }

    /// It is killed, and starts again with what its log has but for the end: somewhere in the last half of it, and not between
    /// two commands.
    #[cfg(unix)]
    pub(crate) fn restart_with_cut_log(&self) {
        static CUTS: AtomicU32 = AtomicU32::new(0);
        self.restart_when(true, || {
            let parts = fs::read_dir(self.directory.join("appendonlydir")).unwrap();
            let of_changes = parts
                .map(|part| part.unwrap().path())
                .filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
            let last = of_changes.max().unwrap();
            let log = fs::File::options().write(true).open(last).unwrap();
            let len = log.metadata().unwrap().len();
            let cut = 2 + u64::from(CUTS.fetch_add(1, Ordering::Relaxed) % 20);
            assert!(len > 1000, "nothing was logged: {len}");
            log.set_len(len - len / cut - 1).unwrap();
        });
        assert!(self.query::<u64>(&["DBSIZE"]) > 0, "nothing was kept");
    }

    /// It is killed, and nobody is there any more.
    #[cfg(unix)]
    pub(crate) fn end(&self) {
        let mut running = self.running.lock();
        running.0.kill().unwrap();
        running.0.wait().unwrap();
    }

    fn set(&self, name: &str, value: &str) {
        cmd("CONFIG").arg("SET").arg(name).arg(value).query::<()>(&mut self.connection()).unwrap();
    }

    pub(crate) fn url(&self, credentials: &str) -> String {
        format!("redis://{credentials}127.0.0.1:{}/0", self.running.lock().1)
    }

    /// A connection for what no step does.
    pub(crate) fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        cmd(words[0]).arg(&words[1..]).query(&mut self.connection()).unwrap()
    }

    pub(crate) fn engine_as(&self, credentials: &str) -> RedisServer {
        RedisServer::new(&self.url(credentials), "q", "b").unwrap()
    }
}

fn connect(port: u16) -> redis::RedisResult<Connection> {
    Client::open(format!("redis://127.0.0.1:{port}/"))?.get_connection_with_timeout(Duration::from_secs(5))
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let running = self.running.get_mut();
        let _ = running.0.kill();
        let _ = running.0.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Harness for TestServer {
    fn engine(&self, queue: &str, build: &str) -> Box<dyn Engine> {
        Box::new(RedisServer::new(&self.url(""), queue, build).unwrap())
    }

    fn flush(&self) {
        self.query::<()>(&["FLUSHALL"]);
    }

    fn restart_empty(&self) {
        self.restart();
    }

    fn restart_with_data(&self) {
        self.query::<()>(&["SAVE"]);
        self.restart();
        let size: u64 = self.query(&["DBSIZE"]);
        assert!(size > 0, "the data was not kept");
        fs::remove_file(self.directory.join("dump.rdb")).unwrap();
    }

    fn cut_connections(&self) {
        self.query::<()>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }

    fn set_full(&self, is_full: bool) {
        self.set("maxmemory", if is_full { "1" } else { "0" });
    }
}
