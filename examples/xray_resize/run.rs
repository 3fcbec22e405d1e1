//! The same tasks in four ways: in a loop, with `map`, by threads, by processes.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use concurrent_futures::{MapOptions, prelude::*};

use crate::{
    Error,
    args::Kind,
    output::Outputs,
    pictures::{File, Pictures},
    plain,
    report::Amount,
    screen::Screen,
    thumbnail::{Order, Thumbnail, image_resize},
    trace::Trace,
};

/// The number of submitted tasks per worker, however many images there are.
const UNDER_WAY: usize = 32;

/// What was done, by which workers, in which time.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) done: Amount,
    pub(crate) failed: Vec<Failed>,
    /// Which of the files gave a thumbnail at least once.
    pub(crate) good: Vec<bool>,
    /// Processes by their pid, threads by their name.
    pub(crate) by_worker: BTreeMap<String, usize>,
}

/// One image that gave no thumbnail.
pub(crate) struct Failed {
    /// The image's number, from 0.
    pub(crate) place: usize,
    pub(crate) path: PathBuf,
    pub(crate) error: String,
}

impl Outcome {
    /// The number of results.
    pub(crate) fn results(&self) -> usize {
        self.done.images + self.failed.len()
    }
}

pub(crate) struct Runner<'a> {
    pub(crate) size: u32,
    pub(crate) draft: bool,
    pub(crate) workers: usize,
    pub(crate) screen: &'a Screen,
    pub(crate) stopping: &'a AtomicBool,
    pub(crate) trace: Option<&'a Trace>,
}

impl Runner<'_> {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The only place that knows the kind of pool: everything else uses an `Executor`.
pub(crate) fn pool(kind: Kind, workers: usize, trace: Option<&Trace>) -> Result<Box<dyn Executor>, Error> {
    let timeline = trace.map(|trace| trace.timeline.clone());
    Ok(if kind == Kind::Processes {
        let builder = ProcessPoolExecutor::builder().max_workers(workers);
        Box::new(match timeline {
            Some(timeline) => builder.observer(timeline).build()?,
            None => builder.build()?,
        })
    } else {
        let builder = ThreadPoolExecutor::builder().max_workers(workers).name_prefix("xray");
        Box::new(match timeline {
            Some(timeline) => builder.observer(timeline).build()?,
            None => builder.build()?,
        })
    })
}

impl Runner<'_> {
    /// Resizes all pictures in one of the ways, and passes the thumbnails to the outputs in the pictures' order.
    pub(crate) fn run(
        &self,
        kind: Kind,
        pictures: &Pictures,
        crash_at: Option<usize>,
        outputs: &mut Outputs,
    ) -> Result<Outcome, Error> {
        self.screen.begin(&kind.to_string(), pictures.len());
        let orders = (1..).zip(pictures.orders(self.size, self.draft));
        let orders = orders.map(|(number, order)| Order { crash: crash_at == Some(number), ..order });
        let mut tally = Tally {
            kind,
            files: Box::new(pictures.each()),
            distinct: pictures.distinct(),
            outcome: Outcome { good: vec![false; pictures.distinct()], ..Outcome::default() },
            outputs,
            screen: self.screen,
        };
        let start = Instant::now();
        match kind {
            Kind::Loop => {
                for order in orders {
                    if self.is_stopping() {
                        break;
                    }
                    tally.take(image_resize(order))?;
                }
            }
            Kind::Map => orders
                .take_while(|_| !self.is_stopping())
                .map(image_resize)
                .try_for_each(|result| tally.take(result))?,
            Kind::Threads | Kind::Processes | Kind::All => {
                // The time includes the pool's start and end.
                self.run_on(&*pool(kind, self.workers, self.trace)?, orders, &mut tally)?;
            }
        }
        tally.outcome.seconds = start.elapsed().as_secs_f64();
        self.screen.end();
        Ok(tally.outcome)
    }

    /// The part to copy: it works with threads and with processes, and a failure is one result among the others.
    fn run_on(
        &self,
        executor: &dyn Executor,
        orders: impl Iterator<Item = Order>,
        tally: &mut Tally<'_>,
    ) -> Result<(), Error> {
        let options = MapOptions::new().buffersize(UNDER_WAY * self.workers);
        for result in executor.try_map_with(options, image_resize, orders) {
            tally.take(result)?;
            if self.is_stopping() {
                break; // what has not begun is cancelled
            }
        }
        Ok(())
    }
}

/// The results of a run so far.
struct Tally<'a> {
    kind: Kind,
    /// Of the results to come.
    files: Box<dyn Iterator<Item = &'a File> + 'a>,
    distinct: usize,
    outcome: Outcome,
    outputs: &'a mut Outputs,
    screen: &'a Screen,
}

impl Tally<'_> {
    fn take(&mut self, result: Result<Thumbnail, impl fmt::Display>) -> Result<(), Error> {
        let Some(File { path, bytes }) = self.files.next() else {
            return Err("more results than images".into());
        };
        let place = self.outcome.results();
        self.screen.advance();
        match result {
            Ok(thumbnail) => {
                self.outputs.take(&thumbnail, path)?;
                let worker = match self.kind {
                    Kind::Processes => format!("pid {}", thumbnail.pid),
                    _ => thumbnail.thread,
                };
                self.screen.log(|| format!("{worker:<10} {}", thumbnail.name));
                *self.outcome.by_worker.entry(worker).or_default() += 1;
                self.outcome.done.images += 1;
                self.outcome.done.bytes += bytes;
                self.outcome.good[place % self.distinct] = true;
            }
            Err(error) => {
                self.screen.log(|| format!("failed     {}: {error}", plain::path(path)));
                self.outcome.failed.push(Failed { place, path: path.clone(), error: error.to_string() });
            }
        }
        Ok(())
    }
}
