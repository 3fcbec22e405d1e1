//! The example `xray_resize`: its task against what Pillow makes of real radiographs, its drawings, and the program as a
//! user runs it. The radiographs lie beside the repository; where they don't, the test on them says so and passes over.

#[path = "../examples/xray_resize/chest.rs"]
mod chest;
#[path = "../examples/xray_resize/jpeg.rs"]
mod jpeg;
#[cfg(unix)]
#[path = "../examples/common/place.rs"]
mod place;
#[path = "../examples/xray_resize/thumbnail.rs"]
mod thumbnail;

#[path = "xray/drawings.rs"]
mod drawings;
#[cfg(unix)]
#[path = "xray/pillow.rs"]
mod pillow;
#[cfg(unix)]
#[path = "xray/places.rs"]
mod places;
mod program;
#[cfg(unix)]
#[path = "xray/quiet.rs"]
mod quiet;
#[path = "xray/run.rs"]
mod run;
#[cfg(unix)]
#[path = "xray/screen.rs"]
mod screen;
#[cfg(unix)]
#[path = "xray/storm.rs"]
mod storm;
#[path = "xray/thumbnails.rs"]
mod thumbnails;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

/// A PNG of so many bits a pixel, of this kind, and of these rows: each behind the number of its filter, deflated.
#[cfg(unix)]
fn png(
    (width, height): (u32, u32),
    (bits, kind): (u8, u8),
    more: &[(&[u8; 4], Vec<u8>)],
    rows: Vec<u8>,
) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let head = [(b"IHDR", [&size[..], &[bits, kind, 0, 0, 0]].concat())];
    let end = [(b"IDAT", rows), (b"IEND", Vec::new())];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in head.iter().chain(more).chain(&end) {
        let mut check = flate2::Crc::new();
        check.update(*kind);
        check.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*kind);
        file.extend(data);
        file.extend(check.sum().to_be_bytes());
    }
    file
}

#[cfg(unix)]
fn deflated<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    parts.into_iter().for_each(|part| encoder.write_all(part).expect("memory"));
    encoder.finish().expect("memory")
}

/// Runs a test under a hard time limit.
fn within(seconds: u64, test: impl FnOnce() + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        // The receiver is gone when the limit has passed; the test has failed then.
        let _ = done.send(());
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_secs(seconds)) {
        panic!("not done after {seconds} s");
    }
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The folder of real radiographs, or none, said aloud.
fn radiographs() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/xray"));
    let found = folder.is_dir().then_some(folder);
    if found.is_none() {
        skipped("there is no ../shared/data/xray, so nothing is compared with Pillow");
    }
    found
}

/// A test that can't be made here, said past the test harness, which hides what a passing test prints; `.ci/run` repeats
/// such lines at its end.
fn skipped(why: &str) {
    // Where nobody reads stderr, nobody is told.
    let _ = writeln!(io::stderr(), "SKIPPED: xray: {why}");
}
