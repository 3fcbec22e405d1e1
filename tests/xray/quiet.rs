//! What becomes of results and words when the other end is no file, has gone, or the user has had enough.
//!
//! Reports of the same in public: a panic behind `| head` (sharkdp/fd#24, rust-lang/rust#46016), a link or a device replaced
//! by a rename (twpayne/chezmoi#2367, nao1215/gup#402).

use std::{
    fs,
    io::Read,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use image::{GrayImage, Luma};
use serde_json::Value;

use crate::{
    program::{Ended, Running, example},
    within,
};

struct Folder(tempfile::TempDir);

impl Folder {
    /// With small pictures in `in`.
    fn new(pictures: u8) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("in")).expect("a folder");
        for n in 0..pictures {
            let picture = GrayImage::from_fn(90, 80, |x, y| Luma([(x + y) as u8 ^ n]));
            picture.save(folder.path().join(format!("in/{n:03}.pgm"))).expect("a file");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(example("xray_resize"));
        command.args(args).current_dir(self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Running::start(self.command(&[&["--dir", "in", "--workers", "2"], args].concat())).end()
    }

    /// But for the pictures.
    fn files(&self) -> Vec<String> {
        let mut names = names(self.0.path());
        names.retain(|name| name != "in");
        names
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn is_array(file: &[u8], rows: usize) -> bool {
    file.starts_with(b"\x93NUMPY")
        && file.len() == 128 + rows * 64 * 64
        && String::from_utf8_lossy(&file[10..128]).contains(&format!("({rows}, 64, 64)"))
}

#[test]
fn links_are_followed_and_permissions_kept() {
    within(100, || {
        let folder = Folder::new(3);
        fs::create_dir(folder.path("far")).expect("a folder");
        fs::write(folder.path("far/a.npy"), "old").expect("a file");
        fs::set_permissions(folder.path("far/a.npy"), fs::Permissions::from_mode(0o640)).expect("it is ours");
        for (to, name) in [("far/a.npy", "a.npy"), ("far/a.png", "a.png"), ("b.txt", "a.txt")] {
            symlink(to, folder.path(name)).expect("a link");
        }
        let ended = folder.run(&["--out", "a.npy", "--contact-sheet", "a.png", "--names", "a.txt"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(folder.files(), ["a.npy", "a.png", "a.txt", "b.txt", "far"]);
        for name in ["a.npy", "a.png", "a.txt"] {
            assert!(fs::symlink_metadata(folder.path(name)).expect("it is there").is_symlink(), "{name}");
        }
        assert_eq!(names(&folder.path("far")), ["a.npy", "a.png"]);
        assert!(is_array(&fs::read(folder.path("far/a.npy")).expect("the array"), 3));
        let mode = fs::metadata(folder.path("far/a.npy")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(
            fs::read_to_string(folder.path("b.txt")).expect("names"),
            "in/000.pgm\nin/001.pgm\nin/002.pgm\n"
        );
    });
}

/// Through links of our own: were this wrong, it is those that would be replaced, not the machine's devices.
#[test]
fn pipes_and_the_own_output_are_written_to() {
    within(100, || {
        let folder = Folder::new(3);
        assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().expect("mkfifo").success());
        let reader = thread::spawn({
            let pipe = folder.path("pipe");
            move || fs::read(pipe).expect("bytes")
        });
        let ended = folder.run(&["--out", "pipe", "--contact-sheet", "a.png"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(is_array(&reader.join().expect("no panic"), 3));
        assert!(fs::metadata(folder.path("pipe")).expect("it is there").file_type().is_fifo());

        symlink("/dev/stdout", folder.path("stdout")).expect("a link");
        let args = ["--dir", "in", "--workers", "2", "--out", "stdout"];
        // A pipe as stdout, and a file.
        let output = folder.command(&args).output().expect("it runs");
        let file = fs::File::create(folder.path("file")).expect("a file");
        assert!(folder.command(&args).stdout(file).status().expect("it runs").success());
        for bytes in [output.stdout, fs::read(folder.path("file")).expect("the file")] {
            let (array, text) = bytes.split_at(128 + 3 * 64 * 64);
            assert!(is_array(array, 3));
            assert!(String::from_utf8_lossy(text).starts_with("X-rays to 64x64: 3 images"), "{text:?}");
        }
        symlink("/dev/null", folder.path("null")).expect("a link");
        let ended = folder.run(&["--contact-sheet", "null", "--out", "null/"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let ended = folder.run(&["--contact-sheet", "null"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(fs::metadata("/dev/null").expect("it is there").file_type().is_char_device());
        assert_eq!(folder.files(), ["a.png", "file", "null", "pipe", "stdout"]);
        for name in ["stdout", "null"] {
            assert!(fs::symlink_metadata(folder.path(name)).expect("it is there").is_symlink(), "{name}");
        }
    });
}

/// As behind `2>&1 | head -1`: nobody hears it, and it is done all the same.
#[test]
fn who_is_not_heard_works_on() {
    within(100, || {
        for kind in ["loop", "threads", "processes"] {
            let folder = Folder::new(3);
            fs::write(folder.path("in/bad.png"), "no picture").expect("a file");
            let args = ["--dir", "in", "--workers", "2", "--verbose", "--out", "a.npy", "--executor", kind];
            let mut command = folder.command(&args);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("it starts");
            drop((child.stdout.take(), child.stderr.take()));
            assert_eq!(child.wait().expect("it ends").code(), Some(1), "{kind}");
            assert!(is_array(&fs::read(folder.path("a.npy")).expect("the array"), 3), "{kind}");
        }
        // Nor is a complaint.
        let folder = Folder::new(0);
        let mut child = folder.command(&["--dir", "in"]).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stderr.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(2));
    });
}

#[test]
fn figures_are_of_what_was_done() {
    within(150, || {
        let folder = Folder::new(0);
        for name in ["a.png", "b.jpg"] {
            fs::write(folder.path("in").join(name), "no picture").expect("a file");
        }
        for kind in ["loop", "threads", "processes", "all"] {
            let ended = folder.run(&["--executor", kind, "--out", "a.npy"]);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stdout.is_empty() && folder.files().is_empty(), "{ended:?}");
            assert_eq!(ended.stderr.matches(" is missing: ").count(), 2, "{ended:?}");
            assert!(ended.stderr.contains("error: none of the 2 images could be resized"), "{ended:?}");
            let ended = folder.run(&["--executor", kind, "--json"]);
            let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
            assert_eq!((ended.code, &figures["runs"]), (Some(2), &serde_json::json!([])), "{figures}");
            assert_eq!((&figures["failed"], &figures["control_speedup"]), (&2.into(), &Value::Null));
        }
        // Two bad ones beside three that are good.
        for n in 0..3 {
            let picture = GrayImage::from_pixel(300, 300, Luma([n]));
            picture.save(folder.path(&format!("in/{n}.pgm"))).expect("a file");
        }
        let ended = folder.run(&["--executor", "threads"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stdout.contains(": 3 of 5 images, 0.3 MB,"), "{ended:?}");
        let row = ended.stdout.lines().find(|line| line.starts_with("threads ")).expect("a row");
        assert_eq!(row.split_whitespace().nth(1), Some("3"), "{row}");
        let ended = folder.run(&["--executor", "threads", "--json"]);
        let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
        for run in figures["runs"].as_array().expect("runs") {
            let images =
                run["images_per_s"].as_f64().expect("a number") * run["seconds"].as_f64().expect("too");
            assert!((images - 3.0).abs() < 1e-6, "{run}");
        }
    });
}

/// More workers than there is work for: no machine is that slow.
#[test]
fn figures_that_cannot_be_are_explained() {
    within(100, || {
        let folder = Folder::new(4);
        let ended =
            Running::start(folder.command(&["--dir", "in", "--executor", "loop", "--workers", "60"])).end();
        assert!(ended.stdout.contains("such figures come from a busy machine"), "{ended:?}");
    });
}

/// In the loop and in the control, which only compare: what was measured before is there, and is shown.
#[test]
fn ctrl_c_shows_what_is_measured() {
    within(200, || {
        let folder = Folder::new(20);
        for (kind, phase) in [
            ("threads", "loop: 10000 images"),
            ("threads", "bare threads: 10000 images"),
            ("processes", "bare processes: 10000 images"),
            ("all", "processes: 10000 images"),
        ] {
            let args =
                ["--dir", "in", "--workers", "2", "--repeat", "500", "--sample", "0", "--out", "a.npy"];
            let mut running = Running::start(folder.command(&[&args[..], &["--executor", kind]].concat()));
            running.wait_for(phase);
            running.interrupt();
            let ended = running.end();
            assert_eq!(ended.code, Some(130), "{phase}: {ended:?}");
            let row = if kind == "all" { "threads " } else { kind };
            let measured = ended.stdout.lines().find(|line| line.starts_with(row));
            assert!(measured.is_some_and(|line| line.contains(" 10000 ")), "{phase}: {ended:?}");
            assert!(ended.stderr.contains("interrupted: "), "{phase}: {ended:?}");
        }
    });
}

/// A drawing has no name until it is whole: nothing can be left behind by who is killed.
#[test]
#[cfg(target_os = "linux")]
fn an_unfinished_drawing_has_no_name() {
    within(100, || {
        let folder = Folder::new(0);
        let drawings = folder.path("cache/v1-seed-1");
        fs::create_dir_all(&drawings).expect("a folder");
        // What an earlier run has left long ago goes, what another may be writing doesn't.
        for (name, age) in [(".chest-old.tmp", 7200), (".chest-new.tmp", 60)] {
            let file = fs::File::create(drawings.join(name)).expect("a file");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("it is ours");
        }
        let args = ["--cache", "cache", "--images", "100000", "--workers", "2"];
        let mut running = Running::start(folder.command(&args));
        let mut seen = 0;
        while seen < 14 {
            let names = names(&drawings);
            let unfinished: Vec<_> = names.iter().filter(|name| name.starts_with(".chest-")).collect();
            if names.iter().any(|name| name.starts_with("chest-")) {
                assert_eq!(unfinished, [".chest-new.tmp"]);
            }
            seen = names.len();
        }
        running.interrupt();
        running.wait_for("stopping: ");
        running.interrupt();
        assert_eq!(running.exit_code(), Some(130));
        running.end();
        let left = names(&drawings);
        assert!(left.iter().all(|name| name == ".chest-new.tmp" || name.starts_with("chest-")), "{left:?}");
    });
}

/// Whoever has a name already keeps it, be it a link to nowhere.
#[test]
fn drawings_replace_nothing() {
    within(100, || {
        let folder = Folder::new(0);
        fs::create_dir_all(folder.path("cache/v1-seed-1")).expect("a folder");
        let link = folder.path("cache/v1-seed-1/chest-00002.jpeg");
        symlink("nowhere", &link).expect("a link");
        let args = ["--cache", "cache", "--images", "3", "--workers", "2"];
        let ended = Running::start(folder.command(&args)).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("can't draw an X-ray into"), "{ended:?}");
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    });
}

/// A file that is open elsewhere under the name stays what it is for who has it open.
#[test]
fn the_file_before_is_whole_until_the_new_one_is() {
    within(100, || {
        let folder = Folder::new(3);
        fs::write(folder.path("a.npy"), "old").expect("a file");
        let mut old = fs::File::open(folder.path("a.npy")).expect("it is there");
        let ended = folder.run(&["--out", "a.npy"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut text = String::new();
        old.read_to_string(&mut text).expect("text");
        assert_eq!(text, "old");
        assert!(is_array(&fs::read(folder.path("a.npy")).expect("the array"), 3));
        assert_eq!(folder.files(), ["a.npy"]);
    });
}
