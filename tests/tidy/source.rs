//! One file of `src/`, and the paths that its code names.

use crate::lexer::{Lexed, Token, lex};

pub(crate) struct Source {
    /// As shown in messages: `src/future/cell.rs`.
    pub(crate) path: String,
    pub(crate) lexed: Lexed,
    /// The code without its unit tests: those may use what the library may not.
    pub(crate) code: Vec<Token>,
    pub(crate) text: String,
}

/// A path in the code, its braces spread out, `crate` and `super` resolved: `["crate", "future", "Cell"]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) parts: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let lexed = lex(text);
        // A file of tests is declared behind `cfg(test)` elsewhere; by convention it, or its folder, is called so.
        let is_of_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        let code = if is_of_tests { Vec::new() } else { without_tests(&lexed.tokens) };
        Self { path: path.to_owned(), lexed, code, text: text.to_owned() }
    }

    /// `src/future/cell.rs` is `["future", "cell"]`, `src/future/mod.rs` is `["future"]`, `src/lib.rs` is `[]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| !["lib", "mod"].contains(part)).collect()
    }

    /// The top-level module, the noun that the layers are about. Empty for `lib.rs`.
    pub(crate) fn layer(&self) -> &str {
        self.module().first().copied().unwrap_or_default()
    }

    /// Every path that the code names, tests left out.
    pub(crate) fn named(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut modules: Vec<String> = self.module().into_iter().map(str::to_owned).collect();
        // One entry for each open brace: whether it is that of an inline module.
        let mut braces = Vec::new();
        let mut at = 0;
        while let Some(token) = self.code.get(at) {
            let before = at.checked_sub(1).map_or("", |before| self.code[before].text.as_str());
            match token.text.as_str() {
                "{" => {
                    let inline = at >= 2 && self.code[at - 2].text == "mod";
                    if inline {
                        modules.push(before.to_owned());
                    }
                    braces.push(inline);
                    at += 1;
                }
                "}" => {
                    if braces.pop() == Some(true) {
                        modules.pop();
                    }
                    at += 1;
                }
                // What `::std` behind it belongs to: not a part of the path.
                "use" | "dyn" | "impl" | "as" | "in" | "for" | "mut" => at += 1,
                text if is_word(text) => {
                    let mut paths = Vec::new();
                    at = spread(&self.code, at, &[], &mut paths);
                    found.extend(paths.into_iter().map(|path| resolve(path, &modules)));
                }
                _ => at += 1,
            }
        }
        found
    }
}

/// Reads the path that begins at `at` and pushes it, or one for each branch of its braces; says where it ends.
fn spread(code: &[Token], mut at: usize, prefix: &[String], out: &mut Vec<Named>) -> usize {
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let line = code[at].line;
    let mut parts = prefix.to_vec();
    loop {
        parts.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
        if text(at) == "{" {
            at += 1;
            while !["}", ""].contains(&text(at)) {
                if is_word(text(at)) || text(at) == "*" {
                    at = spread(code, at, &parts, out);
                } else {
                    at += 1;
                }
                // A new name behind `as` is no path.
                if text(at) == "as" {
                    at += 2;
                }
            }
            return at + 1;
        }
        // `::<` begins the types of a call.
        if !is_word(text(at)) && text(at) != "*" {
            break;
        }
    }
    out.push(Named { line, parts });
    at
}

/// `super::x` in `crate::a::b` is `crate::a::x`.
fn resolve(mut named: Named, modules: &[String]) -> Named {
    let climbs = named.parts.iter().take_while(|part| ["self", "super"].contains(&part.as_str())).count();
    if climbs > 0 && (named.parts.len() > climbs || named.parts[0] == "super") {
        let supers = named.parts[..climbs].iter().filter(|part| *part == "super").count();
        let kept = &modules[..modules.len().saturating_sub(supers)];
        let head = std::iter::once("crate".to_owned()).chain(kept.iter().cloned());
        named.parts = head.chain(named.parts.drain(climbs..)).collect();
    }
    named
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The index behind the bracket that closes the one at `open`.
pub(crate) fn closing(code: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in code.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Leaves out what stands behind `#[cfg(test)]` or `#[test]`, with the brackets that belong to it.
fn without_tests(code: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let attribute = code[at].text == "#" && code.get(at + 1).is_some_and(|token| token.text == "[");
        if !attribute {
            kept.push(code[at].clone());
            at += 1;
            continue;
        }
        let end = closing(code, at + 1);
        if !is_for_tests(&code[at + 2..end - 1]) {
            kept.extend_from_slice(&code[at..end]);
            at = end;
            continue;
        }
        // The item goes to its `;` or to the end of its first braces.
        at = end;
        while at < code.len() && ![";", "{"].contains(&code[at].text.as_str()) {
            at = if ["(", "["].contains(&code[at].text.as_str()) { closing(code, at) } else { at + 1 };
        }
        at = if code.get(at).is_some_and(|token| token.text == "{") { closing(code, at) } else { at + 1 };
    }
    kept
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute.iter().map(|token| token.text.as_str()).collect();
    match words.as_slice() {
        ["test"] => true,
        ["cfg", ..] => {
            let test = words.iter().position(|word| *word == "test");
            test.is_some_and(|at| words[..at].iter().rev().nth(1) != Some(&"not") && !words.contains(&"any"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn named(path: &str, text: &str) -> Vec<String> {
        Source::new(path, text).named().into_iter().map(|named| named.parts.join("::")).collect()
    }

    #[test]
    fn braces_are_spread() {
        let paths =
            named("src/a.rs", "use crate::{b::{C, d as e, self}, f::*}; pub(crate) use ::std::sync::Arc;");
        for wanted in ["crate::b::C", "crate::b::d", "crate::b::self", "crate::f::*", "std::sync::Arc"] {
            assert!(paths.contains(&wanted.to_owned()), "{wanted} not in {paths:?}");
        }
        assert!(!paths.contains(&"crate::b::e".to_owned()));
    }

    #[test]
    fn super_climbs() {
        assert!(named("src/a/b.rs", "super::c::D").contains(&"crate::a::c::D".to_owned()));
        assert!(named("src/a/mod.rs", "super::c::D").contains(&"crate::c::D".to_owned()));
        assert!(named("src/a/b.rs", "super::super::c::D").contains(&"crate::c::D".to_owned()));
        assert!(
            named("src/a.rs", "mod i { use super::c; } use self::d::E;").contains(&"crate::a::c".to_owned())
        );
        assert!(
            named("src/a.rs", "mod i { use super::c; } use self::d::E;")
                .contains(&"crate::a::d::E".to_owned())
        );
        assert!(named("src/a.rs", "self.x(Self::new)").contains(&"self".to_owned()));
    }

    #[test]
    fn turbofish_ends_a_path() {
        let paths = named("src/a.rs", "Vec::<std::cell::Cell<u8>>::new()");
        assert!(paths.contains(&"Vec".to_owned()) && paths.contains(&"std::cell::Cell".to_owned()));
    }

    #[test]
    fn tests_are_left_out() {
        let text = "use a::b; #[cfg(test)] mod tests { use c::d; fn f() { {} } } #[cfg(all(test, x))] use e::f;
            #[cfg(not(test))] use g::h; #[test] fn t(x: [u8; 2]) { i::j } #[derive(Debug)] struct K; use l::m;";
        let paths = named("src/a.rs", text);
        for kept in ["a::b", "g::h", "l::m", "K"] {
            assert!(paths.contains(&kept.to_owned()), "{kept} not in {paths:?}");
        }
        for left in ["c::d", "e::f", "i::j"] {
            assert!(!paths.contains(&left.to_owned()), "{left} in {paths:?}");
        }
        assert!(named("src/a/tests.rs", "use c::d;").is_empty());
        assert!(named("src/a/tests/b.rs", "use c::d;").is_empty());
    }
}
