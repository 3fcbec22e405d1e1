//! The examples that teach and storm, as a user runs them: who stops reading, a full disk, Ctrl-C, wrong arguments.

#[expect(dead_code, reason = "no test here runs alone")]
mod program;

#[path = "examples/ends.rs"]
mod ends;
#[path = "examples/plots.rs"]
mod plots;
#[cfg(unix)]
#[path = "examples/server.rs"]
mod server;
