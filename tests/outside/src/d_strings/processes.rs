//! The same of pools of processes.

use crate::Instance;
use crate::support::SOON;
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, ProcessPoolBuilder};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new(
        "the_names_of_processes_are_any_text_without_nul",
        &["rust-lang/rust#32475", "rust-lang/rust#44651"],
        the_names_of_processes_are_any_text_without_nul,
    ),
    Instance::new(
        "variables_of_processes_arrive_or_are_refused_by_build",
        &[],
        variables_of_processes_arrive_or_are_refused_by_build,
    ),
];

// ---- pools of processes ------------------------------------------------------------------------------------

/// The option and the value that `build` refuses.
fn refused(builder: ProcessPoolBuilder) -> (&'static str, String) {
    match builder.max_workers(1).build() {
        Err(error @ BuildError::Invalid { .. }) => {
            let text = error.to_string();
            let BuildError::Invalid { option, value, .. } = error else { unreachable!() };
            assert!(text.contains(option) && text.contains(&value) && text.len() < 400, "{text}");
            (option, value)
        }
        Err(error) => panic!("{error:?}"),
        Ok(pool) => panic!("{:?}", pool.submit(|n: u32| n, 1).result()),
    }
}

fn the_names_of_processes_are_any_text_without_nul() {
    let long = "x".repeat(1 << 20);
    for name in ["", " ", "a", "a\nb", "\u{1b}[31m", "é".repeat(20).as_str(), "-", "%s%n", &long] {
        let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix(name).build().expect("a pool");
        let seen = pool.submit(|()| std::thread::current().name().map(str::to_owned), ());
        let seen = seen.result_timeout(SOON).expect("in time").expect("a worker");
        assert!(seen == Some(format!("{name}_0")), "{:?} for {:.20}", seen.map(|seen| seen.len()), name);
    }
    for name in ["\0", "a\0", "\0a", &format!("{long}\0")] {
        assert_eq!(refused(ProcessPoolExecutor::builder().name_prefix(name)).0, "name_prefix");
    }
}

fn variables_of_processes_arrive_or_are_refused_by_build() {
    let os = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    let good = [
        (os(b"CF_A"), os(b"")),
        (os(b"CF B"), os(b"=x=")),
        (os(b"CF_\xff"), os(b"\xfe\n")),
        (os(b"cf-\n%"), os(b"a b")),
    ];
    let mut builder = ProcessPoolExecutor::builder().max_workers(1);
    for (name, value) in good {
        builder = builder.env(name, value);
    }
    let long = OsString::from("x".repeat((128 << 10) - "CF_LONG".len() - 2));
    builder = builder.env("CF_LONG", &long);
    // Nothing can have such a name, so it is certain that none is there.
    for name in [os(b""), os(b"="), os(b"A=B"), os(b"\0")] {
        builder = builder.env_remove(name);
    }
    let pool = builder.build().expect("a pool");
    for (name, value) in good.into_iter().chain([(os(b"CF_LONG"), long.as_os_str())]) {
        let seen = pool.submit(|name: OsString| std::env::var_os(name), name.to_owned());
        let seen = seen.result_timeout(SOON).expect("in time").expect("a worker");
        assert!(seen.as_deref() == Some(value), "{name:?}");
    }
    let bad = [
        (os(b""), os(b"x")),
        (os(b"="), os(b"x")),
        (os(b"A=B"), os(b"x")),
        (os(b"=A"), os(b"x")),
        (os(b"A\0"), os(b"x")),
        (os(b"A"), os(b"x\0y")),
    ];
    for (name, value) in bad {
        assert_eq!(refused(ProcessPoolExecutor::builder().env(name, value)).0, "env", "{name:?}");
    }
    let longer = "x".repeat(128 << 10);
    assert_eq!(refused(ProcessPoolExecutor::builder().env("CF_LONG", &longer)).1, "\"CF_LONG\"");
    assert_eq!(refused(ProcessPoolExecutor::builder().env(&longer, "x")).0, "env");
}
