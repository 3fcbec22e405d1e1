//! A server of the example's own: started on a private port, ended by its process id.

use std::env::consts::EXE_SUFFIX;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where servers are looked for, in this order.
const NAMES: [&str; 2] = ["valkey-server", "redis-server"];

const START_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Server {
    /// Starts a server that keeps nothing on disk.
    pub(crate) fn start() -> Result<Self, String> {
        let program = find().ok_or(
            "no server is installed here. Install one (`apt install redis-server`, `dnf install valkey`, \
             `brew install valkey`), or name one that runs: --url redis://host",
        )?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let failed = |error: io::Error| format!("{} could not be started: {error}", program.display());
        // The port is free now, and the server is the next to take it.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?.port();
        let child = Command::new(&program)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--dir", &std::env::temp_dir().to_string_lossy()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut server = Server { child, url: format!("redis://127.0.0.1:{port}"), name };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{} ended at once: {status}", program.display()));
            }
            if begun.elapsed() > START_TIMEOUT {
                return Err(format!("{} didn't come up within {START_TIMEOUT:?}", program.display()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = NAMES.map(|name| format!("{name}{EXE_SUFFIX}"));
    let mut places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}
