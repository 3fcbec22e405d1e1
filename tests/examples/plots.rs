//! What they draw: whole or not at all, where `--out` says and nowhere else.

use std::{fs, path::Path, process::Command};

use crate::program::{Ended, Running, example};

/// A small run of each that draws.
const DRAW: [(&str, &[&str]); 2] =
    [("amdahl", &["--work-ms", "2", "--rounds", "1"]), ("soak", &["--minutes", "0.05"])];

fn run(name: &str, args: &[&str], out: &str, folder: &Path) -> Ended {
    let mut command = Command::new(example(name));
    command.args(args).args(["--out", out]).current_dir(folder);
    Running::start(command).end()
}

fn is_plot(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|svg| svg.starts_with("<svg") && svg.ends_with("</svg>\n"))
}

/// A limit on the size of files stands in for the disk; without the trap it would be a deadly signal.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_plot() {
    // Not the soak, whose pictures are larger than any plot; it writes by the same `Place`.
    let (name, args) = DRAW[0];
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("plot.svg");
    fs::write(&plot, "old").expect("an old plot");
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"trap '' XFSZ; ulimit -f 4; exec "$0" "$@""#]).arg(example(name));
    limited.args(args).args(["--out", "plot.svg"]).current_dir(folder.path());
    let ended = Running::start(limited).end();
    assert!(matches!(ended.code, Some(1 | 2)), "{name}: {ended:?}");
    assert!(ended.stderr.contains("File too large") && !ended.stderr.contains("Os {"), "{name}: {ended:?}");
    assert_eq!(fs::read(&plot).expect("the old plot"), b"old", "{name}");
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "{name} left something behind");
}

#[cfg(target_os = "linux")]
#[test]
fn a_plot_that_cannot_be_written_is_told_in_plain_words() {
    for (name, args) in DRAW {
        let folder = tempfile::tempdir().expect("a folder");
        let ended = run(name, args, "/dev/full", folder.path());
        assert!(matches!(ended.code, Some(1 | 2)), "{name}: {ended:?}");
        assert!(
            ended.stderr.contains("No space left") && !ended.stderr.contains("Os {"),
            "{name}: {ended:?}"
        );
        // What was measured and counted is shown all the same.
        assert!(
            ended.stdout.contains("measured") || ended.stdout.contains("nothing lost"),
            "{name}: {ended:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_device_written_to() {
    for (name, args) in DRAW {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("real.svg", folder.path().join("link.svg")).expect("a link");
        let ended = run(name, args, "link.svg", folder.path());
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(is_plot(&folder.path().join("real.svg")), "{name}");
        assert!(folder.path().join("link.svg").is_symlink(), "{name} replaced the link");
        let ended = run(name, args, "/dev/stdout", folder.path());
        assert!(ended.code == Some(0) && ended.stdout.contains("</svg>"), "{name}: {ended:?}");
    }
}

/// BurntSushi/ripgrep#22: who stops reading the figures still gets the plot.
#[cfg(unix)]
#[test]
fn the_plot_is_drawn_when_nobody_reads_the_figures() {
    for (name, args) in DRAW {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shell = Command::new("sh");
        shell.args(["-c", r#""$0" "$@" 2>&1 | head -n 1"#]).arg(example(name));
        shell.args(args).args(["--out", "plot.svg"]).current_dir(folder.path());
        Running::start(shell).end();
        assert!(is_plot(&folder.path().join("plot.svg")), "{name}");
    }
}

#[test]
fn a_place_that_is_none_is_told_before_the_work() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, args) in DRAW {
        for out in ["no/such/folder/plot.svg", "."] {
            let ended = run(name, args, out, folder.path());
            assert!(matches!(ended.code, Some(1 | 2)) && ended.stdout.is_empty(), "{name} {out}: {ended:?}");
            assert!(ended.stderr.contains("error: ") && !ended.stderr.contains("Os {"), "{name}: {ended:?}");
        }
    }
}

/// Each line of the plot has its dots, and no name stands where lines are.
#[test]
fn every_share_has_measured_points() {
    let folder = tempfile::tempdir().expect("a folder");
    let (name, args) = DRAW[0];
    let ended = run(name, args, "plot.svg", folder.path());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let measured = ended.stdout.split("measured   control").last().expect("a table");
    for share in ["0.00", "0.50", "0.75", "0.90", "0.95", "0.99"] {
        assert!(measured.lines().any(|line| line.trim_start().starts_with(share)), "{share}: {measured}");
    }
    let svg = fs::read_to_string(folder.path().join("plot.svg")).expect("a plot");
    let mut colours: Vec<_> = svg
        .split("<circle")
        .skip(1)
        // A dot is filled, or hollow where the machine was busy.
        .filter_map(|dot| dot.split('"').find(|value| value.starts_with('#')))
        .collect();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!(colours.len(), 6, "{colours:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_draws_the_points_that_are_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" >&2"#]).arg(example("amdahl")).current_dir(folder.path());
    command.args(["--work-ms", "50", "--rounds", "200", "--out", "plot.svg"]);
    let mut running = Running::start(command);
    running.wait_for("law  measured   control");
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("interrupted: "), "{ended:?}");
    assert!(is_plot(&folder.path().join("plot.svg")), "{ended:?}");
}
