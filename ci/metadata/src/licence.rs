//! Licence expressions (SPDX) and which of them we accept.

/// What users get with the library: nothing that asks more of them than our own licences do. ISC and BSL-1.0 come by
/// concurrent-futures-redis.
pub(crate) const SHIPPED: &[&str] =
    &["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "Unicode-3.0", "Zlib"];

/// What only our tests, examples and benches use, beside the above.
pub(crate) const TOOLS: &[&str] = &[
    "0BSD",
    "Apache-2.0 WITH LLVM-exception",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MIT-0",
    "NCSA",
    "Unlicense",
];

/// Whether the licences listed are enough to use something under this expression.
///
/// `OR` binds less than `AND`; `/` is the old way to write `OR`.
pub(crate) fn accepts(expression: &str, listed: &[&str]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any(&mut words, listed)?;
    match words.next() {
        None => Ok(verdict),
        Some(word) => Err(format!("`{word}` stands where the expression should end")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words, listed: &[&str]) -> Result<bool, String> {
    let mut verdict = all(words, listed)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= all(words, listed)?;
    }
    Ok(verdict)
}

fn all(words: &mut Words, listed: &[&str]) -> Result<bool, String> {
    let mut verdict = one(words, listed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words, listed)?;
    }
    Ok(verdict)
}

fn one(words: &mut Words, listed: &[&str]) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let verdict = any(words, listed)?;
            words.next_if_eq(&")").map(|_| verdict).ok_or_else(|| "a bracket isn't closed".to_owned())
        }
        Some("AND" | "OR" | "WITH" | ")") | None => Err("a licence is missing".to_owned()),
        Some(name) => {
            let name = match words.next_if_eq(&"WITH") {
                Some(_) => format!("{name} WITH {}", words.next().ok_or("an exception is missing")?),
                None => name.to_owned(),
            };
            Ok(listed.contains(&name.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn or_needs_one_and_needs_all() {
        for (expression, accepted) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0-only", false),
            ("GPL-3.0-only AND MIT OR MIT", true),
            ("GPL-3.0-only AND (MIT OR MIT)", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ] {
            assert_eq!(accepts(expression, SHIPPED), Ok(accepted), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
            assert!(accepts(expression, SHIPPED).is_err(), "{expression}");
        }
    }
}
