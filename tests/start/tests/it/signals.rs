//! What workers make of signals, whatever their parent made of them; and of what they print.

use crate::program::{START, limit, lines, output};
use std::process::Command;

#[test]
fn a_worker_blocks_no_signal_though_its_parent_blocks_all() {
    limit(|| assert_eq!(lines(&["masked"]), ["blocked in a worker: 0 0", "terminated by Some(15)"]));
}

#[test]
fn a_parent_that_ignores_sigchld_hears_of_deaths_all_the_same() {
    limit(|| {
        let one = ["died: true", "next: Some(2)"];
        assert_eq!(
            lines(&["sigchld"]),
            [one, one, one].concat().into_iter().chain(["dropped"]).collect::<Vec<_>>()
        );
    });
}

#[test]
fn a_worker_has_the_signals_of_a_program_that_is_careful() {
    limit(|| {
        let expected = [
            "ignores SIGPIPE: true",
            "ignores SIGINT: false",
            "catches SIGINT: true",
            "a closed pipe: Some(\"broken pipe\")",
            "a task's child and SIGINT: Some(2)",
            "armed with: Some(0)",
            "its parent is this one: true",
        ];
        assert_eq!(lines(&["worker-signals"]), expected);
    });
}

/// Lines of `println!`, and lines written in one piece to standard error, from four workers at once, some of which die
/// right after.
#[test]
fn lines_of_several_workers_arrive_whole() {
    limit(|| {
        let whole = |text: &[u8], what: &str| {
            let text = std::str::from_utf8(text).expect("text");
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(what)).collect();
            for line in &lines {
                let mut words = line.split(' ').skip(1);
                let n: u32 = words.next().and_then(|n| n.parse().ok()).expect("a number");
                let fill = char::from(b'a' + (n % 26) as u8).to_string().repeat(900);
                assert_eq!(**line, format!("{what} {n} {fill} end"));
            }
            let torn = text.lines().filter(|line| !line.starts_with(what) && line.contains(" end")).count();
            (lines.len(), torn)
        };
        let both = output(Command::new(START).args(["print", "1000"]));
        assert_eq!(whole(&both.stdout, "out"), (1000, 0));
        assert_eq!(whole(&both.stderr, "err"), (1000, 0));
        assert!(both.stdout.ends_with(b"980 done\n"));

        // Into a file, which all share.
        let folder = crate::program::Folder::new("print");
        let path = folder.0.join("out");
        let file = std::fs::File::create(&path).expect("a file");
        let status = Command::new(START)
            .args(["print", "1000"])
            .stdout(file)
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.expect("a status").success());
        assert_eq!(whole(&std::fs::read(&path).expect("the file"), "out"), (1000, 0));
    });
}
