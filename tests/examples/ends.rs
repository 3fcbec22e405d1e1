//! How they end: quietly when nobody reads, with what there is after Ctrl-C, with exit code 2 for wrong arguments.

use std::{fs, path::Path, process::Command};

use crate::program::{Ended, Running, example};

/// Each with the arguments of a small run, and a word of its last line.
const ALL: [(&str, &[&str], &str); 10] = [
    ("quickstart", &[], "after it"),
    ("custom_executor", &[], "as_completed"),
    ("shared_table", &[], "SharedBytes"),
    ("socket_executor", &[], "killed"),
    ("toast_and_coffee", &["--minute-ms", "5"], "coffee"),
    ("toast_and_coffee", &["--minute-ms", "5", "--executor", "processes"], "coffee"),
    ("amdahl", &["--work-ms", "2", "--rounds", "1"], "no plot"),
    ("soak", &["--storm", "threads", "--size", "0.001"], "nothing"),
    ("timeline", &["--pieces", "3"], "longest"),
    (
        "pipeline",
        &["--pictures", "6", "--latency-ms", "2", "--missing", "3"],
        "2 pictures are not on the server",
    ),
];

/// Runs a shell script in a folder, in which `$0` is the example and `$@` are its arguments.
fn shell(folder: &Path, script: &str, name: &str, args: &[&str]) -> Ended {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(example(name)).args(args).current_dir(folder);
    Running::start(shell).end()
}

/// A program that panics says so on stderr, if it still can, and ends with 101.
fn is_quiet(ended: &Ended) -> bool {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    // Quickstart's own panic is on purpose, and of a worker.
    !said.contains("Broken pipe") && !said.contains("failed printing") && !said.contains("thread 'main'")
}

/// BurntSushi/ripgrep#22, sharkdp/fd#24, astral-sh/ruff#13442: `| head -n 1`.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_is_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, args, _) in ALL {
        for redirected in ["| head -n 1", "2>&1 | head -n 1", "2>&1 | true"] {
            let script = format!(r#"{{ "$0" "$@"; echo $? >code; }} {redirected}"#);
            let ended = shell(folder.path(), &script, name, args);
            let code = fs::read_to_string(folder.path().join("code")).expect("a code");
            // With a minute as short as this, toast and coffee may find that it was late.
            let fits = code == "0\n" || (name == "toast_and_coffee" && code == "1\n");
            assert!(fits && is_quiet(&ended), "{name} {args:?} {redirected}: {code}{ended:?}");
        }
    }
}

/// Figures that can't be printed are an error in plain words.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, args, _) in ALL {
        let ended = shell(folder.path(), r#"exec "$0" "$@" >/dev/full"#, name, args);
        assert!(matches!(ended.code, Some(1 | 2)), "{name}: {ended:?}");
        assert!(ended.stderr.contains("No space left") && is_quiet(&ended), "{name}: {ended:?}");
        assert!(!ended.stderr.contains("Os {"), "the Debug form: {}", ended.stderr);
    }
}

#[test]
fn each_comes_to_its_end_and_leaves_nothing_in_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, args, last) in ALL {
        let mut command = Command::new(example(name));
        command.args(args).current_dir(folder.path());
        let ended = Running::start(command).end();
        assert!(ended.stdout.contains(last), "{name}: {ended:?}");
        let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
        assert!(left.is_empty(), "{name} left {left:?}");
    }
}

#[test]
fn wrong_arguments_end_with_2_and_say_which() {
    for (name, args) in [
        ("toast_and_coffee", &["--minute-ms", "0"][..]),
        ("toast_and_coffee", &["--minute-ms", "18446744073709551615"]),
        ("toast_and_coffee", &["--minutes", "1"]),
        ("amdahl", &["--work-ms", "0"]),
        ("amdahl", &["--work-ms", "18446744073709551615"]),
        ("amdahl", &["--rounds", "no"]),
        ("amdahl", &["plot.svg"]),
        ("soak", &["--minutes", "0"]),
        ("soak", &["--minutes", "nan"]),
        ("soak", &["--size", "0"]),
        ("soak", &["--storm", "rain"]),
        ("soak", &["--storm", "kills", "--minutes", "1"]),
        ("soak", &["--storm", "kills", "--out", "a.svg"]),
        ("timeline", &["--pieces", "0"]),
        ("pipeline", &["--pictures", "0"]),
        ("pipeline", &["--missing", "0"]),
        ("thumbnail_server", &["--waiting", "0"]),
        ("thumbnail_server", &["--port", "65536"]),
    ] {
        let mut command = Command::new(example(name));
        command.args(args);
        let ended = Running::start(command).end();
        assert_eq!(ended.code, Some(2), "{name} {args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{name} {args:?}: {ended:?}");
    }
}

/// What was counted until Ctrl-C is shown, and the first one is enough.
#[cfg(unix)]
#[test]
fn ctrl_c_shows_what_a_storm_has_counted() {
    for storm in ["deaths", "kills", "threads", "weather", "xrays"] {
        let mut command = Command::new(example("soak"));
        // Larger than any machine is through with in five seconds.
        command.args(["--storm", storm, "--size", "20"]);
        let mut running = Running::start(command);
        // Every five seconds it tells how far it is; on a busy machine the first time may be too early.
        let mut line = running.wait_for(" done, ");
        while line.contains(" 0 done, ") {
            line = running.wait_for(" done, ");
        }
        assert!(line.contains(" 0 impossible states"), "{storm}: {line}");
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{storm}: {ended:?}");
        assert!(ended.stdout.contains("interrupted: until then nothing lost"), "{storm}: {}", ended.stdout);
        assert!(ended.stdout.starts_with(&format!("{storm}: ")), "{storm}: {}", ended.stdout);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_draws_what_the_mixed_storms_have_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(example("soak"));
    command.args(["--minutes", "30", "--out", "soak.svg"]).current_dir(folder.path());
    let mut running = Running::start(command);
    running.wait_for(" done, ");
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.contains("kills: ") && ended.stdout.contains("interrupted"), "{}", ended.stdout);
    let svg = fs::read_to_string(folder.path().join("soak.svg")).expect("a plot");
    assert!(svg.ends_with("</svg>\n"), "{svg}");
}

/// A picture under way is drawn as far as it came.
#[cfg(unix)]
#[test]
fn ctrl_c_shows_the_toast_that_is_made() {
    for executor in ["threads", "processes"] {
        let mut command = Command::new("sh");
        // The line that it waits for goes to stderr, where the test looks for it.
        command.args(["-c", r#"exec "$0" "$@" >&2"#]).arg(example("toast_and_coffee"));
        command.args(["--minute-ms", "200", "--executor", executor]);
        let mut running = Running::start(command);
        running.wait_for("Parallel: 100 toasts");
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{executor}: {ended:?}");
        assert!(ended.stderr.contains("interrupted; made until then: "), "{executor}: {ended:?}");
    }
}
