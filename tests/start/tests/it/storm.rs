//! Signals that interrupt every call of the system, in the parent and in its workers; and threads before `main`.

use crate::program::{limit, lines, run};
use std::process::Command;

#[test]
fn every_result_is_right_in_a_storm_of_signals() {
    limit(|| {
        let expected = [
            "small 3000",
            "large 20",
            "one after the other 200",
            "started 12",
            "threads 3000",
            "deaths 0",
            "caught hundreds here and hundreds there",
        ];
        assert_eq!(lines(&["storm"]), expected);
    });
}

#[test]
fn threads_that_are_there_before_main() {
    limit(|| {
        assert_eq!(
            run(&mut Command::new(env!("CARGO_BIN_EXE_early"))),
            "checked, and 10 times in a worker\n"
        );
    });
}
