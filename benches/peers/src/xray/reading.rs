//! Who runs the task, and how, except for Python.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use concurrent_futures::prelude::*;
use image::imageops::FilterType;
use rayon::prelude::*;

use super::{One, SIZE, Subject};
use crate::thumbnail::{Order, image_resize};

/// One thumbnail, or why there is none.
type Outcome = Result<Vec<u8>, String>;

/// Runs the case and leaves the thumbnails of one pass; seconds.
pub(super) fn take(reading: &One) -> Result<f64, String> {
    let start = Instant::now();
    let all = run(reading)?;
    let seconds = start.elapsed().as_secs_f64();
    let one_pass = all.into_iter().take(reading.files.len()).collect::<Result<Vec<_>, _>>()?.concat();
    fs::write(&reading.pixels, one_pass).map_err(|e| format!("{}: {e}", reading.pixels.display()))?;
    Ok(seconds)
}

fn run(reading: &One) -> Result<Vec<Outcome>, String> {
    let workers = reading.workers;
    let paths: Vec<PathBuf> = (0..reading.repeat).flat_map(|_| &reading.files).cloned().collect();
    let draft = reading.draft;
    let orders = || paths.iter().map(|path| Order { path: path.clone(), size: SIZE, crash: false, draft });
    let here = |order| image_resize(order).map(|thumbnail| thumbnail.pixels).map_err(|e| e.to_string());
    let through = |executor: &dyn Executor| -> Vec<Outcome> {
        let results = executor.try_map(image_resize, orders());
        results.map(|result| result.map(|thumbnail| thumbnail.pixels).map_err(|e| e.to_string())).collect()
    };
    Ok(match reading.subject {
        Subject::OursProcesses => {
            through(&ProcessPoolExecutor::builder().max_workers(workers).build().map_err(|e| e.to_string())?)
        }
        Subject::OursThreads => {
            through(&ThreadPoolExecutor::builder().max_workers(workers).build().map_err(|e| e.to_string())?)
        }
        Subject::OursLoop => orders().map(here).collect(),
        Subject::Control => {
            let (orders, next) = (orders().collect::<Vec<_>>(), AtomicUsize::new(0));
            let work = || {
                let mine = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                let mine = mine.take_while(|n| *n < orders.len());
                mine.map(|n| (n, here(orders[n].clone()))).collect::<Vec<_>>()
            };
            let mut all: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
            });
            all.sort_by_key(|(n, _)| *n);
            all.into_iter().map(|(_, outcome)| outcome).collect()
        }
        Subject::ImageRayon => {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(workers).build().map_err(|e| e.to_string())?;
            pool.install(|| paths.par_iter().map(by_image).collect())
        }
        Subject::CpythonLoop | Subject::CpythonThreads | Subject::CpythonProcesses => {
            return Err("Python runs in a process of its own".to_owned());
        }
    })
}

/// The code that one writes with the `image` crate alone.
fn by_image(path: &PathBuf) -> Outcome {
    let image = image::open(path).map_err(|e| e.to_string())?;
    Ok(image::imageops::resize(&image.into_luma8(), SIZE, SIZE, FilterType::CatmullRom).into_raw())
}
