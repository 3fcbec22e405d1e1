//! Who is measured. Adding a pool: a file with a [`Pool`] for it, a name in [`Subject`], a line in `measure`.

mod cpython;
mod ours;
mod procspawn;

use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::figure::Figure;

/// Anything that can be sent.
pub(crate) trait Portable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {}

/// What every pool of processes measured here can do.
pub(crate) trait Pool: Sized {
    /// A handle of one result.
    type Handle<R: Portable>;

    /// How many handles may be open at once.
    const WINDOW: usize = usize::MAX;

    /// More would take too long.
    const MOST_TASKS: usize = usize::MAX;

    /// A pool of at most `workers` processes. Dropping it ends it.
    fn new(workers: usize) -> Self;

    fn submit<A: Portable, R: Portable>(&self, f: fn(A) -> R, argument: A) -> Self::Handle<R>;

    fn wait<R: Portable>(&self, handle: Self::Handle<R>) -> R;
}

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// This crate's ProcessPoolExecutor.
    Ours,
    /// procspawn's Pool.
    Procspawn,
    /// CPython's concurrent.futures.ProcessPoolExecutor, workers by fork.
    CpythonFork,
    /// The same, workers by forkserver.
    CpythonForkserver,
    /// CPython's multiprocessing.Pool, workers by fork.
    PoolFork,
    /// The same, workers by forkserver.
    PoolForkserver,
    /// No pool: user, a thread in the middle, another process, and back.
    Chain,
    /// No pool: the least that such work costs on this machine. Each figure says what exactly.
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
            Subject::Procspawn => "procspawn",
            Subject::CpythonFork => "CPython fork",
            Subject::CpythonForkserver => "CPython forkserver",
            Subject::PoolFork => "multiprocessing.Pool",
            Subject::PoolForkserver => "multiprocessing.Pool, forkserver",
            Subject::Chain => "chain (no pool)",
            Subject::Floor => "floor (no pool)",
        }
    }

    pub(crate) fn is_python(self) -> bool {
        use Subject::{CpythonFork, CpythonForkserver, PoolFork, PoolForkserver};
        matches!(self, CpythonFork | CpythonForkserver | PoolFork | PoolForkserver)
    }

    /// Takes the reading in this process. `None`: this subject has no such case.
    pub(crate) fn measure(self, figure: Figure, case: usize, quick: bool) -> Result<Option<f64>, String> {
        Ok(match self {
            Subject::Ours => match figure.measure::<ours::Ours>(case, quick) {
                None => figure.ours(case, quick),
                reading => reading,
            },
            Subject::Procspawn => figure.measure::<procspawn::Procspawn>(case, quick),
            Subject::CpythonFork => return cpython::measure("executor", "fork", figure, case, quick),
            Subject::CpythonForkserver => {
                return cpython::measure("executor", "forkserver", figure, case, quick);
            }
            Subject::PoolFork => return cpython::measure("pool", "fork", figure, case, quick),
            Subject::PoolForkserver => return cpython::measure("pool", "forkserver", figure, case, quick),
            Subject::Chain => figure.chain(quick),
            Subject::Floor => figure.floor(case, quick),
        })
    }
}

/// The subjects that the page compares: CPython's pools with workers by fork, its faster way. With `--quick` one stands for
/// all peers.
pub(crate) fn comparable(quick: bool) -> Vec<Subject> {
    if quick {
        return vec![Subject::Ours, Subject::Procspawn, Subject::Floor];
    }
    let mut subjects = Subject::value_variants().to_vec();
    subjects.retain(|subject| !matches!(subject, Subject::CpythonForkserver | Subject::PoolForkserver));
    subjects
}
