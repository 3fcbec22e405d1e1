//! The program as a user runs it: what it prints, what it writes, how it ends.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    program::{Ended, Running, example},
    skipped, within,
};

/// A folder for one test, with a cache of drawings in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(example("xray_resize"));
        command.args(args).current_dir(self.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Running::start(self.command(args)).end()
    }

    /// A few drawings of the program's own, in `cache`.
    fn run_drawn(&self, more: &[&str]) -> Ended {
        self.run(&[&["--cache", "cache", "--images", "12", "--workers", "2"], more].concat())
    }

    fn array(&self, name: &str) -> (String, Vec<u8>) {
        let file = fs::read(self.path().join(name)).expect("the array");
        let (header, data) = file.split_at(128);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        (String::from_utf8(header[10..].to_vec()).expect("text"), data.to_vec())
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).expect("the folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn figures(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn json_is_one_object_with_just_these_keys() {
    within(70, || {
        let ended = Folder::new().run_drawn(&["--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let figures = figures(&ended);
        let expected = BTreeSet::from(["images", "failed", "workers", "shape", "runs", "control_speedup"]);
        assert_eq!(keys(&figures), expected);
        assert_eq!(
            (&figures["images"], &figures["failed"], &figures["workers"]),
            (&12.into(), &0.into(), &2.into())
        );
        assert_eq!(figures["shape"], serde_json::json!([12, 64, 64]));
        assert!(figures["control_speedup"].as_f64() > Some(0.0));
        let runs = figures["runs"].as_array().expect("runs");
        let names: Vec<_> = runs.iter().map(|run| run["executor"].as_str()).collect();
        assert_eq!(names, [Some("loop"), Some("processes")]);
        let seconds = |run: &Value| run["seconds"].as_f64().expect("a number");
        for run in runs {
            assert_eq!(keys(run), BTreeSet::from(["executor", "seconds", "images_per_s", "speedup"]));
            let near =
                |key: &str, value: f64| (run[key].as_f64().expect("a number") / value - 1.0).abs() < 1e-9;
            assert!(near("images_per_s", 12.0 / seconds(run)), "{run}");
            assert!(near("speedup", seconds(&runs[0]) / seconds(run)), "{run}");
        }
    });
}

#[test]
fn all_ways_give_the_same_array() {
    within(130, || {
        let folder = Folder::new();
        let mut arrays = Vec::new();
        for kind in ["loop", "map", "threads", "processes", "all"] {
            let ended = folder.run_drawn(&["--executor", kind, "--out", "a.npy", "--sample", "3"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(ended.stdout.contains("12 x 64 x 64 bytes were written to a.npy"), "{ended:?}");
            arrays.push(folder.array("a.npy"));
        }
        let (header, data) = &arrays[0];
        assert_eq!(header.trim_end(), "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 64, 64), }");
        assert!(
            header.ends_with(" \n") && data.len() == 12 * 64 * 64 && data.iter().any(|pixel| *pixel > 100)
        );
        assert!(arrays.iter().all(|array| array == &arrays[0]));
        assert_eq!(folder.files("."), ["a.npy", "cache"]);
    });
}

#[test]
fn the_table_says_who_did_what() {
    within(70, || {
        let ended = Folder::new().run_drawn(&["--sample", "5", "--verbose"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for text in
            ["12 images", "2 workers", "extrapolated from these", "bare threads", "bare processes", "pid "]
        {
            assert!(ended.stdout.contains(text), "no {text:?} in {ended:?}");
        }
        let done = ended.stderr.lines().filter(|line| line.contains("  pid ") && line.contains("chest-"));
        assert_eq!(done.count(), 12, "{ended:?}");
    });
}

#[test]
fn a_crash_costs_one_image() {
    within(70, || {
        let folder = Folder::new();
        let ended = folder.run_drawn(&["--crash-at", "5", "--json", "--out", "a.npy"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let figures = figures(&ended);
        assert_eq!((&figures["failed"], &figures["shape"][0]), (&1.into(), &11.into()));
        assert_eq!(folder.array("a.npy").1.len(), 11 * 64 * 64);
        let missing: Vec<_> = ended.stderr.lines().filter(|line| line.contains("is missing")).collect();
        assert!(
            missing.len() == 1 && missing[0].contains("chest-00005.jpeg is missing: worker"),
            "{missing:?}"
        );
    });
}

#[test]
fn a_bad_file_is_one_error_in_the_list() {
    within(130, || {
        let folder = Folder::new();
        assert_eq!(folder.run_drawn(&["--executor", "loop"]).code, Some(0));
        let cache = folder.path().join("cache/v1-seed-1");
        let whole = fs::read(cache.join("chest-00003.jpeg")).expect("a drawing");
        fs::write(cache.join("chest-00003.jpeg"), &whole[..whole.len() / 2]).expect("a file");
        fs::create_dir(cache.join("more")).expect("a folder");
        fs::write(cache.join("more/none.png"), "no picture").expect("a file");
        fs::write(cache.join("notes.txt"), "no picture either, and not called one").expect("a file");
        for kind in ["loop", "processes"] {
            let ended = folder.run(&["--dir", "cache", "--executor", kind, "--json", "--repeat", "2"]);
            assert_eq!(ended.code, Some(1), "{ended:?}");
            let figures = figures(&ended);
            assert_eq!((&figures["images"], &figures["failed"]), (&26.into(), &4.into()), "{ended:?}");
            for text in ["chest-00003.jpeg is missing: is cut off", "none.png is missing: can't be decoded"] {
                assert_eq!(ended.stderr.matches(text).count(), 2, "{ended:?}");
            }
        }
    });
}

#[test]
fn drawings_are_kept_and_only_missing_ones_drawn() {
    within(70, || {
        let folder = Folder::new();
        let first = folder.run_drawn(&["--executor", "loop"]);
        assert!(first.stderr.contains("drawing X-rays: 12 images"), "{first:?}");
        let gone = folder.path().join("cache/v1-seed-1/chest-00007.jpeg");
        let before = fs::read(&gone).expect("a drawing");
        fs::remove_file(&gone).expect("it can go");
        let second = folder.run_drawn(&["--executor", "loop"]);
        assert!(second.stderr.contains("drawing X-rays: 1 images"), "{second:?}");
        assert!(fs::read(&gone).expect("a drawing") == before, "drawn anew it is another");
        let third = folder.run_drawn(&["--executor", "loop"]);
        assert!(!third.stderr.contains("drawing"), "{third:?}");
        assert_eq!(folder.files("cache/v1-seed-1").len(), 12);
    });
}

#[test]
fn the_contact_sheet_shows_each_picture_once() {
    within(70, || {
        let folder = Folder::new();
        let ended = folder.run_drawn(&[
            "--contact-sheet",
            "a.png",
            "--out",
            "a.npy",
            "--repeat",
            "2",
            "--size",
            "32",
        ]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let sheet = image::open(folder.path().join("a.png")).expect("a picture").into_luma8();
        assert_eq!(sheet.dimensions(), (5 * 32, 3 * 32));
        let (_, data) = folder.array("a.npy");
        assert_eq!(data.len(), 24 * 32 * 32);
        let sixth = image::imageops::crop_imm(&sheet, 0, 32, 32, 32).to_image();
        assert!(sixth.as_raw()[..] == data[5 * 32 * 32..6 * 32 * 32]);
    });
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    within(70, || {
        let folder = Folder::new();
        for (args, text) in [
            (&["--executor", "threads", "--crash-at", "3"][..], "--crash-at aborts a worker process"),
            (&["--dir", "."], "there is no image in ."),
            (&["--dir", "nowhere"], "can't read --dir nowhere"),
            (&["--out", "nowhere/a.npy"], "can't write nowhere/a.npy"),
            (&["--contact-sheet", "."], "can't write ."),
            (&["--out", "a", "--contact-sheet", "a"], "the same file"),
            (&["--workers", "0"], "0"),
            (&["--images", "3", "--dir", "."], "cannot be used with"),
        ] {
            let ended = folder.run(args);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains(text) && ended.stdout.is_empty(), "no {text:?} in {ended:?}");
        }
        assert!(folder.files(".").is_empty(), "{:?}", folder.files("."));
        let ended = folder.run_drawn(&["--crash-at", "13"]);
        assert!(ended.code == Some(2) && ended.stderr.contains("there are only 12 images"), "{ended:?}");
    });
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_what_came() {
    within(130, || {
        let folder = Folder::new();
        assert_eq!(folder.run_drawn(&["--executor", "loop"]).code, Some(0));
        for kind in ["processes", "threads", "loop"] {
            let args =
                ["--dir", "cache", "--repeat", "10000", "--sample", "1", "--executor", kind, "--verbose"];
            let mut running = Running::start(folder.command(&[&args[..], &["--out", "a.npy"]].concat()));
            running.wait_for(&format!("{kind}: 120000 images"));
            running.wait_for("chest-00003.jpeg");
            running.interrupt();
            let ended = running.end();
            assert_eq!(ended.code, Some(130), "{ended:?}");
            assert!(ended.stdout.is_empty() && ended.stderr.contains("stopping: "), "{ended:?}");
            let (header, data) = folder.array("a.npy");
            let rows = data.len() / 4096;
            assert!(
                header.contains(&format!("({rows}, 64, 64)")) && (3..100_000).contains(&rows),
                "{header}"
            );
            assert!(ended.stderr.contains(&format!("interrupted: {rows} x 64 x 64")), "{ended:?}");
            assert_eq!(folder.files("."), ["a.npy", "cache"]);
        }
    });
}

/// While nothing but the control is left to do, and while the X-rays are still being drawn.
#[test]
#[cfg(unix)]
fn ctrl_c_in_the_control_costs_no_result() {
    within(190, || {
        let folder = Folder::new();
        assert_eq!(folder.run_drawn(&["--executor", "loop"]).code, Some(0));
        for phase in ["bare threads", "bare processes"] {
            let args = ["--dir", "cache", "--repeat", "20", "--workers", "2", "--executor", "loop"];
            let outputs = ["--out", "a.npy", "--contact-sheet", "a.png"];
            let mut running = Running::start(folder.command(&[&args[..], &outputs].concat()));
            running.wait_for(&format!("{phase}: 240 images"));
            running.interrupt();
            let ended = running.end();
            assert_eq!(ended.code, Some(130), "{phase}: {ended:?}");
            assert!(!ended.stderr.contains("error"), "{phase}: {ended:?}");
            // The loop was measured, and that is shown.
            let row = ended.stdout.lines().find(|line| line.starts_with("loop "));
            assert!(row.is_some_and(|line| line.contains(" 240 ")), "{phase}: {ended:?}");
            for text in ["interrupted: 240 x 64 x 64 bytes were written", "12 thumbnails were drawn"] {
                assert!(ended.stderr.contains(text), "{phase}: no {text:?} in {ended:?}");
            }
            assert_eq!(folder.array("a.npy").1.len(), 240 * 4096);
            assert_eq!(folder.files("."), ["a.npy", "a.png", "cache"]);
            for name in ["a.npy", "a.png"] {
                fs::remove_file(folder.path().join(name)).expect("it can go");
            }
        }
    });
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_what_is_drawn() {
    within(70, || {
        let folder = Folder::new();
        let args =
            ["--cache", "cache", "--images", "100000", "--workers", "2", "--verbose", "--out", "a.npy"];
        let mut running = Running::start(folder.command(&args));
        running.wait_for("drawn      chest-00003.jpeg");
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        let drawn = folder.files("cache/v1-seed-1");
        assert!((3..90_000).contains(&drawn.len()), "{}", drawn.len());
        // Whole files under their names, and nothing half done beside them.
        assert!(drawn.iter().all(|name| name.starts_with("chest-") && name.ends_with(".jpeg")), "{drawn:?}");
        assert!(
            ended.stderr.contains(&format!("interrupted: {} X-rays are drawn", drawn.len())),
            "{ended:?}"
        );
        assert_eq!(folder.files("."), ["cache"]);
    });
}

/// The second Ctrl-C waits for nobody, not for a worker either that is in no hurry.
#[test]
#[cfg(unix)]
fn ctrl_c_again_leaves_at_once() {
    within(130, || {
        let folder = Folder::new();
        assert_eq!(folder.run_drawn(&["--executor", "loop"]).code, Some(0));
        let args = ["--dir", "cache", "--repeat", "10000", "--sample", "1", "--workers", "1", "--verbose"];
        let outputs = ["--executor", "processes", "--out", "a.npy", "--contact-sheet", "a.png"];
        let mut running = Running::start(folder.command(&[&args[..], &outputs].concat()));
        running.wait_for("processes: 120000 images");
        let line = running.wait_for("  pid ");
        let worker = line.split_whitespace().skip_while(|word| *word != "pid").nth(1).expect("its number");
        let signal = |name: &str| Command::new("kill").args([name, worker]).status().expect("kill").success();
        assert!(signal("-STOP"), "{line}");
        running.interrupt();
        running.wait_for("stopping: ");
        running.interrupt();
        assert_eq!(running.exit_code(), Some(130));
        // It may be gone already: the system wakes those whose program has ended.
        signal("-CONT");
        // The workers hold stderr open: it ends when they have gone.
        let ended = running.end();
        assert!(ended.stdout.is_empty() && !ended.stderr.contains("interrupted"), "{ended:?}");
        assert_eq!(folder.files("."), ["cache"]);
    });
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_read_is_one_error_in_the_list() {
    use std::os::unix::fs::PermissionsExt;
    within(130, || {
        let folder = Folder::new();
        assert_eq!(folder.run_drawn(&["--executor", "loop"]).code, Some(0));
        let closed = folder.path().join("cache/closed");
        fs::create_dir(&closed).expect("a folder");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("it is ours");
        let args = ["--dir", "cache", "--executor", "loop", "--json", "--repeat", "2", "--out", "a.npy"];
        let mut command = folder.command(&args);
        if fs::read_dir(&closed).is_ok() {
            // Root may read everything, unless it gives that up.
            let mut plain = Command::new("setpriv");
            plain.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(command.get_program());
            plain.args(command.get_args()).current_dir(folder.path());
            command = plain;
            if Command::new("setpriv").arg("--version").output().is_err() {
                skipped("root reads every folder, and there is no setpriv");
                return;
            }
        }
        let ended = Running::start(command).end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let figures = figures(&ended);
        assert_eq!((&figures["images"], &figures["failed"]), (&24.into(), &1.into()), "{ended:?}");
        assert_eq!(figures["shape"][0], 24);
        assert_eq!(ended.stderr.matches("cache/closed is missing: can't be read: ").count(), 1, "{ended:?}");
        assert_eq!(folder.array("a.npy").1.len(), 24 * 4096);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).expect("it is ours");
    });
}

/// The largest amount of memory that the parent had at once, in KiB, until its results were all in.
#[cfg(target_os = "linux")]
fn peak(folder: &Folder, repeat: &str) -> i64 {
    let args = ["--dir", "small", "--workers", "2", "--sample", "4000", "--repeat", repeat];
    let outputs = ["--out", "a.npy", "--contact-sheet", "a.png"];
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo $$ >pid; exec \"$@\"", "sh"])
        .arg(example("xray_resize"))
        .args(args)
        .args(outputs);
    command.current_dir(folder.path());
    let mut running = Running::start(command);
    // The control has begun, and takes as much in each run.
    running.wait_for("bare threads: 4000 images");
    let pid = fs::read_to_string(folder.path().join("pid")).expect("its number");
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it runs");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_flat_however_many_thumbnails_are_written() {
    within(130, || {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("small")).expect("a folder");
        for shade in 0..4 {
            let path = folder.path().join(format!("small/{shade}.pgm"));
            image::GrayImage::from_pixel(80, 80, image::Luma([60 * shade])).save(path).expect("a file");
        }
        let (few, many) = (peak(&folder, "1000"), peak(&folder, "8000"));
        assert_eq!(folder.array("a.npy").1.len(), 32_000 * 4096);
        // The 28 000 thumbnails more are 112 MB.
        assert!(many < few + 8 * 1024, "{few} KiB with 4000 images, {many} KiB with 32 000");
    });
}
