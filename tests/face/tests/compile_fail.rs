//! Programs that must not compile, and what the compiler says to those who write them.
//!
//! The words are partly the compiler's: after a change of toolchain look at the difference, and take it over with
//! `TRYBUILD=overwrite cargo test -p face-tests --test compile_fail`. What *we* promise is checked in any case: the
//! sentences below, which stand in our `#[diagnostic]` attributes.

/// Which case shows which of our sentences.
const SENTENCES: [(&str, &str); 4] = [
    ("borrowed_argument", "cannot travel to another process"),
    ("borrowed_argument", "pass an owned value in place of a reference"),
    ("anyhow_to_submit", "goes through `try_submit` and `try_map`"),
    ("no_error_to_try_submit", "it must convert into `Box<dyn std::error::Error + Send + Sync>`"),
];

#[test]
fn messages_say_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    drop(cases); // that is when they are tried
    for (case, sentence) in SENTENCES {
        let path = format!("{}/tests/compile_fail/{case}.stderr", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(sentence), "{case} does not say: {sentence}");
    }
}
