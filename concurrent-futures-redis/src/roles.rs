//! This program once more, as a node or a client of its own: a process that can be killed, frozen and cut off.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

/// Names the server to a process that this program starts.
const ROLE: &str = "CLUSTER_ROLE_AT";

/// Starts this program in a role, which is the name of an ignored test. It leaves when this process does, whose pipe it has.
pub(crate) fn start(role: &str, url: &str) -> Child {
    in_role(Command::new(env::current_exe().unwrap()), role, url).spawn().unwrap()
}

/// `command` runs this program: in a role.
pub(crate) fn in_role(mut command: Command, role: &str, url: &str) -> Command {
    command.args(["--exact", role, "--ignored", "--nocapture"]);
    command.env(ROLE, url).stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

/// The server that this process is to serve or to use; none if it was not started in a role.
pub(crate) fn role() -> Option<String> {
    let url = env::var(ROLE).ok()?;
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    Some(url)
}
