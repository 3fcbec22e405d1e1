//! [`Peer`]: a Python process with three workers, which takes its readings itself and is asked for them line by line.

use crate::Failure;
use crate::case::Case;
use crate::stage::Subject;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{env, iter};

/// Where python.sh puts it: in the target folder, as this program.
pub(crate) fn made_by_script() -> Option<PathBuf> {
    let target = env::current_exe().ok()?.parent()?.parent()?.to_owned();
    Some(target.join("cluster-peers-python/bin/python")).filter(|python| python.exists())
}

/// The name, and the file in `python/`.
pub(crate) const PEERS: [(&str, &str); 3] =
    [("celery", "celery_peer.py"), ("rq", "rq_peer.py"), ("dask", "dask_peer.py")];

pub(crate) struct Peer {
    name: &'static str,
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it, and waits until its workers are there.
    pub(crate) fn start(
        python: &Path,
        url: &str,
        (name, file): (&'static str, &str),
    ) -> Result<Self, Failure> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let mut child = Command::new(python)
            .arg(folder.join(file))
            .current_dir(folder)
            .env("PEERS_URL", format!("{url}/1"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Celery warns of being root, at length.
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (asks, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or("no pipe")?);
        let mut peer = Peer { name, child, asks, answers };
        match peer.next_line()?.as_str() {
            "ready" => Ok(peer),
            other => Err(format!("{name} says {other:?} where it should be ready").into()),
        }
    }

    fn next_line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("{} ended: {}", self.name, self.child.wait()?).into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Subject for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, case: Case, times: usize) -> Result<Option<f64>, Failure> {
        let word = match case {
            Case::Trip => "trip",
            Case::Mib => "mib",
            Case::Many => "many",
            Case::Shared | Case::Xray | Case::Memory | Case::Future => return Ok(None),
        };
        let asks = self.asks.as_mut().ok_or("no pipe")?;
        writeln!(asks, "{word} {times}")?;
        Ok(Some(self.next_line()?.parse()?))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input: it ends its workers.
        self.asks = None;
        let _ = iter::from_fn(|| self.next_line().ok()).count();
        let _ = self.child.wait();
    }
}
