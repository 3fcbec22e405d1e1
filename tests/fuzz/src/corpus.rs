//! What is kept: seeds, what coverage added, and whatever failed once.

use concurrent_futures::internals::fuzz::Target;
use std::path::PathBuf;
use std::{fs, io};

/// Where a target's is.
pub fn folder(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target.name].iter().collect()
}

/// All of a target's files, in the order of their names.
///
/// # Errors
///
/// It isn't there.
pub fn read(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder(target))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

/// Writes a target's seeds again; says how many.
///
/// # Errors
///
/// They can't be written.
pub fn seed(target: &Target) -> io::Result<usize> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    let seeds = (target.seeds)();
    for (name, bytes) in &seeds {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(seeds.len())
}
