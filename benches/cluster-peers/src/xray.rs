//! The X-ray case: pictures made small by two nodes of one slot, and by a local pool of two workers.

use crate::case::Case;
use crate::nodes::Nodes;
use crate::readings::Readings;
use crate::thumbnail::{Order, image_resize};
use crate::{Arguments, Failure, chest};
use concurrent_futures::prelude::*;
use concurrent_futures::{ExecutorExt, MapOptions};
use concurrent_futures_redis::RedisExecutor;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const QUEUE: &str = "xrays";

/// Pictures that are drawn where no folder is given.
const DRAWN: u64 = 14;

/// How many pictures are made small for a reading: each file so often as it takes.
const PICTURES: usize = 140;

pub(crate) fn read(url: &str, arguments: &Arguments, readings: &mut Readings) -> Result<(), Failure> {
    let drawn = tempfile::tempdir()?;
    let folder = match &arguments.xray {
        Some(folder) => folder.clone(),
        None => draw(drawn.path())?,
    };
    let pictures = if arguments.quick { PICTURES / 10 } else { PICTURES };
    let files: Vec<PathBuf> = jpegs(&folder)?.into_iter().cycle().take(pictures).collect();
    if files.is_empty() {
        return Err(format!("{} has no JPEGs", folder.display()).into());
    }
    let cluster = RedisExecutor::builder(url).queue(QUEUE).build()?;
    let _nodes = Nodes::start(url, QUEUE, 2, &cluster)?;
    let local = ProcessPoolExecutor::builder().max_workers(2).build()?;
    resize(&cluster, &files)?;
    resize(&local, &files)?;
    for round in 0..arguments.rounds {
        let mut read_cluster = || resize(&cluster, &files).map(|it| readings.note(Case::Xray, "2 nodes", it));
        if round % 2 == 0 {
            read_cluster()?;
        }
        let local = resize(&local, &files)?;
        if round % 2 == 1 {
            read_cluster()?;
        }
        readings.note(Case::Xray, "local pool", local);
    }
    Ok(())
}

/// Pictures a second.
fn resize(pool: &(impl ExecutorExt + ?Sized), files: &[PathBuf]) -> Result<f64, Failure> {
    let orders = files.iter().cloned().map(|path| Order { path, size: 64, crash: false, draft: false });
    let options = MapOptions::new().buffersize(64).unordered();
    let begun = Instant::now();
    for made in pool.try_map_with(options, image_resize, orders) {
        made?;
    }
    Ok(files.len() as f64 / begun.elapsed().as_secs_f64())
}

fn draw(folder: &Path) -> Result<PathBuf, Failure> {
    for n in 0..DRAWN {
        fs::write(folder.join(format!("{n}.jpeg")), chest::draw(1, n))?;
    }
    Ok(folder.to_owned())
}

fn jpegs(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jpeg" || end == "jpg") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
