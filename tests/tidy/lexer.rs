//! Rust source, as far as the rules need it: which words are code, which lines are comments.
//!
//! Strings, character literals and comments never become tokens, so that a rule can't be tripped by prose.

/// A word or a sign of the code, with the line it stands on (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    /// The comments of each line (from 1), outer marks included; empty where there is none.
    pub(crate) comments: Vec<String>,
}

impl Lexed {
    pub(crate) fn comment(&self, line: usize) -> &str {
        self.comments.get(line).map_or("", String::as_str)
    }

    pub(crate) fn has_code(&self, line: usize) -> bool {
        self.tokens.iter().any(|token| token.line == line)
    }
}

pub(crate) fn lex(source: &str) -> Lexed {
    let mut lexer = Lexer { rest: source, line: 1, out: Lexed::default() };
    lexer.out.comments = vec![String::new(); source.lines().count() + 2];
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    lexer.out
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    out: Lexed,
}

impl<'a> Lexer<'a> {
    fn step(&mut self, next: char) {
        if next.is_whitespace() {
            self.take(next.len_utf8());
        } else if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(length);
        } else if self.rest.starts_with("/*") {
            let length = block_comment(self.rest);
            self.comment(length);
        } else if let Some(length) = literal(self.rest) {
            self.take(length);
        } else if self.rest.starts_with("::") {
            self.token(2);
        } else if let Some(raw) = self.rest.strip_prefix("r#").filter(|raw| word(raw) > 0) {
            let length = word(raw);
            self.take(2);
            self.token(length);
        } else {
            self.token(word(self.rest).max(next.len_utf8()));
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn token(&mut self, length: usize) {
        let line = self.line;
        let text = self.take(length).to_owned();
        self.out.tokens.push(Token { line, text });
    }

    fn comment(&mut self, length: usize) {
        let first = self.line;
        for (offset, text) in self.take(length).split('\n').enumerate() {
            self.out.comments[first + offset].push_str(text);
        }
    }
}

/// The length of the identifier or number that `text` begins with.
fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The length of the block comment that `text` begins with; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string or character literal that `text` begins with, if it is one. A lifetime is none.
fn literal(text: &str) -> Option<usize> {
    // `b`, `c` and `r` only count right before the quote; inside a longer word they were taken with it.
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or("x");
        let after = if prefix.ends_with('r') { after.trim_start_matches('#') } else { after };
        after.starts_with('"') || (after.starts_with('\'') && ["b", ""].contains(prefix))
    })?;
    let body = &text[prefix.len()..];
    let length = if prefix.ends_with('r') {
        raw_string(body)
    } else if body.starts_with('"') {
        quoted(body, '"')
    } else {
        character(body)?
    };
    Some(prefix.len() + length)
}

/// `#"…"#`, with as many `#` behind as in front.
fn raw_string(body: &str) -> usize {
    let hashes = body.len() - body.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 1;
    body[start..].find(&end).map_or(body.len(), |at| start + at + end.len())
}

fn quoted(body: &str, quote: char) -> usize {
    let mut chars = body.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

/// `'x'` and `'\n'` are characters, `'x` is a lifetime: what tells them apart is the second quote.
fn character(body: &str) -> Option<usize> {
    let mut inner = body[1..].chars();
    let first = inner.next()?;
    (first == '\\' || inner.next() == Some('\'')).then(|| quoted(body, '\''))
}

#[cfg(test)]
mod tests {
    use super::lex;

    fn code(source: &str) -> String {
        lex(source).tokens.into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_and_paths() {
        assert_eq!(code("use a::{b, c as d};"), "use a :: { b , c as d } ;");
        assert_eq!(code("r#type r#fn() -> u8 { 0_u8 }"), "type fn ( ) - > u8 { 0_u8 }");
        assert_eq!(code("größe.αβ"), "größe . αβ");
    }

    #[test]
    fn strings_hold_no_code() {
        assert_eq!(code(r#"a("unsafe \" // \\") b"#), "a ( ) b");
        assert_eq!(code(r###"a(r"unsafe\") b"###), "a ( ) b");
        assert_eq!(
            code(r###"a(r#"say "unsafe" "#, br##"x"#y"##, b"z\"", c"w", cr"v") b"###),
            "a ( , , , , ) b"
        );
        assert_eq!(code("a(\"two\nlines /* \") b"), "a ( ) b");
        assert_eq!(code("bar\"x\" br x r c"), "bar br x r c");
        assert_eq!(code("\"never closed"), "");
    }

    #[test]
    fn characters_and_lifetimes() {
        assert_eq!(code(r#"f('"', '\'', b'\\', '/') g"#), "f ( , , , ) g");
        assert_eq!(
            code("fn f<'a>(x: &'a str, y: &'static u8) {}"),
            "fn f < ' a > ( x : & ' a str , y : & ' static u8 ) { }"
        );
        assert_eq!(code("loop { break 'outer; } 'x' y"), "loop { break ' outer ; } y");
        assert_eq!(code("'é' '\u{1F980}' x"), "x");
        assert_eq!(code(r"'\u{41}' x"), "x");
    }

    #[test]
    fn comments_are_kept_apart() {
        let lexed = lex("a // unsafe \"\n/* one /* two */ still\nunsafe */ b\n/// doc's\nc");
        assert_eq!(code("a // unsafe \"\n/* one /* two */ still\nunsafe */ b\n/// doc's\nc"), "a b c");
        assert_eq!(lexed.comment(1), "// unsafe \"");
        assert_eq!(lexed.comment(3), "unsafe */");
        assert_eq!(lexed.tokens[1].line, 3);
        assert_eq!(lexed.comment(4), "/// doc's");
        assert!(lexed.has_code(5) && !lexed.has_code(4));
        assert_eq!(code("a /* never closed é"), "a");
        assert_eq!(code("\"// no comment\" a"), "a");
    }
}
