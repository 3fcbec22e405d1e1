//! Who is measured. Adding a pool: a file with a [`Pool`] for it, a name in [`Subject`], a line in [`measure`].

mod cpython;
mod ours;
mod rayon;
mod rusty_pool;
mod threadpool;
mod tokio;

use clap::ValueEnum;
use serde::Serialize;

use crate::arguments::Reading;

/// What every pool measured here can do.
pub(crate) trait Pool: Send + Sync + 'static {
    /// A handle of one result.
    type Handle: Send;

    /// A pool of at most `workers` threads. Dropping it ends it.
    fn new(workers: usize) -> Self;

    /// From any thread; does not wait.
    fn submit<F: FnOnce() -> u64 + Send + 'static>(&self, f: F) -> Self::Handle;

    /// Waits for one result.
    fn wait(&self, handle: Self::Handle) -> u64;

    /// Waits for all, in this order, and adds them up: in one go for a pool that has a cheaper way than one by one.
    fn collect(&self, handles: Vec<Self::Handle>) -> u64 {
        handles.into_iter().map(|handle| self.wait(handle)).sum()
    }
}

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// This crate's ThreadPoolExecutor.
    Ours,
    Rayon,
    Threadpool,
    RustyPool,
    TokioSpawn,
    TokioSpawnBlocking,
    /// CPython's own ThreadPoolExecutor.
    Cpython,
    /// No pool: the least that such work costs on this machine. Each group says what exactly.
    Floor,
}

impl Subject {
    /// On the command line, in JSON, and in what is kept.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// As a reader of a table or a plot knows it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Subject::Ours => "ours",
            Subject::Rayon => "rayon",
            Subject::Threadpool => "threadpool",
            Subject::RustyPool => "rusty_pool",
            Subject::TokioSpawn => "tokio spawn",
            Subject::TokioSpawnBlocking => "tokio spawn_blocking",
            Subject::Cpython => "CPython threads",
            Subject::Floor => "floor (no pool)",
        }
    }

    /// Neither ours nor the floor.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Subject::Ours | Subject::Floor)
    }
}

/// The subjects that the page compares: all but CPython's pool, which is a hundred times slower and would hide the others.
/// With `--quick` one stands for all peers.
pub(crate) fn comparable(quick: bool) -> Vec<Subject> {
    if quick {
        return vec![Subject::Ours, Subject::Rayon, Subject::Floor];
    }
    let mut subjects = Subject::value_variants().to_vec();
    subjects.retain(|subject| *subject != Subject::Cpython);
    subjects
}

/// Takes the reading in this process. `None`: this subject has no such case.
pub(crate) fn measure(reading: &Reading) -> Result<Option<f64>, String> {
    let Reading { group, case, subject, quick } = *reading;
    Ok(match subject {
        Subject::Ours => match group.measure::<ours::Ours>(case, quick) {
            None => group.ours(case, quick),
            figure => figure,
        },
        Subject::Rayon => match group.measure::<rayon::Rayon>(case, quick) {
            None => group.rayon(quick),
            figure => figure,
        },
        Subject::Threadpool => group.measure::<threadpool::Threadpool>(case, quick),
        Subject::RustyPool => group.measure::<rusty_pool::RustyPool>(case, quick),
        Subject::TokioSpawn => group.measure::<tokio::Spawn>(case, quick),
        Subject::TokioSpawnBlocking => group.measure::<tokio::SpawnBlocking>(case, quick),
        Subject::Cpython => return cpython::measure(group, case, quick),
        Subject::Floor => group.floor(case, quick),
    })
}

pub(crate) use cpython::{program as cpython_program, version as cpython_version};
