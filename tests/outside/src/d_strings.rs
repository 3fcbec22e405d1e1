//! Strings at their edges: every name, path and variable that reaches the system.

pub(crate) mod processes;

use crate::Instance;
use crate::support::SOON;
use concurrent_futures::ThreadPoolExecutor;

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("threads_names_with_nul", &["rust-lang/rust#32475"], threads_names_with_nul),
    Instance::new("threads_odd_names", &[], threads_odd_names),
];

fn threads_names_with_nul() {
    for prefix in ["\0", "a\0", "\0a", "a\0b"] {
        let error = match ThreadPoolExecutor::builder().max_workers(1).name_prefix(prefix).build() {
            Err(error) => error,
            // As it was: a start that panics must at least not leave the pool waiting for a thread.
            Ok(pool) => {
                let future = pool.spawn(|| 1);
                let outcome = future.result_timeout(SOON).expect("in time");
                panic!("{prefix:?} was accepted; a task gives {outcome:?}");
            }
        };
        let text = error.to_string();
        assert!(text.contains("name_prefix") && text.contains("NUL"), "{text}");
    }
}

fn threads_odd_names() {
    let long = "n".repeat(1 << 20);
    for prefix in [
        "",
        " ",
        "_",
        "%s%n",
        "fünfzehn-bytes-ä",
        "日本語の名前のスレッド",
        "\u{1F980}\n\t",
        "a/b/../c",
        &long,
    ] {
        let pool = ThreadPoolExecutor::builder().max_workers(2).name_prefix(prefix).build();
        let pool = pool.expect("a name");
        let name = pool.spawn(|| std::thread::current().name().map(str::to_owned));
        let name = name.result_timeout(SOON).expect("in time").expect("it ran");
        assert_eq!(name, Some(format!("{prefix}_0")));
        pool.join_timeout(SOON).expect("every worker ends");
    }
}
