//! A folder for one run of the program.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use serde_json::Value;

use crate::program::{Ended, Running, example};

/// A folder for one test; the program runs in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Names of all files in it, hidden ones too.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The default place of the result, read.
    pub(crate) fn result(&self) -> Value {
        let bytes = fs::read(self.path().join("weather.json")).expect("weather.json");
        serde_json::from_slice(&bytes).expect("one JSON object")
    }

    /// The dates in the result, in its order.
    pub(crate) fn dates(&self) -> Vec<String> {
        let result = self.result();
        let days = result["days"].as_array().expect("days").iter();
        days.map(|day| day["date"].as_str().expect("a date").to_owned()).collect()
    }

    pub(crate) fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(example("weather_fetch"));
        command.args(args).current_dir(self.path()).env_remove("DATA_GOV_SG_API_KEY");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[impl AsRef<OsStr>]) -> Ended {
        Running::start(self.command(args)).end()
    }
}
