//! JSON as Python writes it: `json.dumps(json.loads(text), sort_keys=True)`, byte for byte.
//!
//! Keys are sorted and the last of equal ones counts; ", " and ": " separate; characters that aren't ASCII are escaped; whole
//! numbers stay whole, whatever their length; others are written with the fewest digits that mean the same double.

use std::{
    cmp::Ordering,
    fmt::{self, Write},
};

/// An error that Python's parser has too.
#[derive(Debug, PartialEq)]
pub(crate) struct NotJson {
    /// In bytes.
    at: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON at byte {}", self.at)
    }
}

impl std::error::Error for NotJson {}

/// What `json.dumps(json.loads(text), sort_keys=True)` gives.
pub(crate) fn dumps(text: &str) -> Result<String, NotJson> {
    Writer { text, at: 0, depth: 0, strict: false }.all()
}

/// The same for readers that are stricter than Python's: NaN and the infinities become null, half of a surrogate pair
/// becomes U+FFFD.
pub(crate) fn strict(text: &str) -> Result<String, NotJson> {
    Writer { text, at: 0, depth: 0, strict: true }.all()
}

/// Deeper nesting than any answer has; each level takes some of the stack.
const MOST_LEVELS: usize = 100;

/// Reads and writes at once: there is no tree.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    strict: bool,
}

/// A string's code points, halves of surrogate pairs among them: Python's strings may hold those, and are sorted by code
/// points.
enum Text<'a> {
    /// Printable ASCII without escapes, as nearly all are: it is written as it was read.
    Plain(&'a str),
    Points(Vec<u32>),
}

impl Text<'_> {
    fn order(&self, other: &Self) -> Ordering {
        if let (Self::Plain(one), Self::Plain(other)) = (self, other) {
            return one.cmp(other);
        }
        self.points().cmp(&other.points())
    }

    fn points(&self) -> Vec<u32> {
        match self {
            Self::Plain(text) => text.bytes().map(u32::from).collect(),
            Self::Points(points) => points.clone(),
        }
    }
}

impl<'a> Writer<'a> {
    fn all(mut self) -> Result<String, NotJson> {
        let mut out = String::new();
        self.value(&mut out)?;
        self.space();
        if self.at == self.text.len() { Ok(out) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> NotJson {
        NotJson { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether this comes next; it is read over then.
    fn next_is(&mut self, wanted: &str) -> bool {
        let is = self.text.as_bytes()[self.at..].starts_with(wanted.as_bytes());
        self.at += if is { wanted.len() } else { 0 };
        is
    }

    fn expect(&mut self, wanted: &str) -> Result<(), NotJson> {
        self.space();
        if self.next_is(wanted) { Ok(()) } else { Err(self.wrong()) }
    }

    fn value(&mut self, out: &mut String) -> Result<(), NotJson> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(out, Self::object),
            Some(b'[') => self.nested(out, Self::array),
            Some(b'"') => {
                let string = self.string()?;
                self.write_string(&string, out);
                Ok(())
            }
            _ if self.word(out) => Ok(()),
            _ => self.number(out),
        }
    }

    fn nested(
        &mut self,
        out: &mut String,
        read: fn(&mut Self, &mut String) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MOST_LEVELS {
            return Err(self.wrong());
        }
        read(self, out)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, out: &mut String) -> Result<(), NotJson> {
        out.push('[');
        self.space();
        if !self.next_is("]") {
            loop {
                self.value(out)?;
                self.space();
                if self.next_is("]") {
                    break;
                }
                self.expect(",")?;
                out.push_str(", ");
            }
        }
        out.push(']');
        Ok(())
    }

    fn object(&mut self, out: &mut String) -> Result<(), NotJson> {
        // Where each member's value stands in `values`: one text for all of them.
        let (mut members, mut values) = (Vec::new(), String::new());
        self.space();
        if !self.next_is("}") {
            loop {
                self.space();
                let key = self.string()?;
                self.expect(":")?;
                let start = values.len();
                self.value(&mut values)?;
                members.push((key, start..values.len()));
                self.space();
                if self.next_is("}") {
                    break;
                }
                self.expect(",")?;
            }
        }
        // Stable: of equal keys the last one stays last.
        members.sort_by(|(a, _), (b, _)| a.order(b));
        out.push('{');
        let mut first = true;
        for (n, (key, value)) in members.iter().enumerate() {
            if members.get(n + 1).is_some_and(|(next, _)| next.order(key).is_eq()) {
                continue;
            }
            out.push_str(if first { "" } else { ", " });
            first = false;
            self.write_string(key, out);
            out.push_str(": ");
            out.push_str(&values[value.clone()]);
        }
        out.push('}');
        Ok(())
    }

    fn word(&mut self, out: &mut String) -> bool {
        const WORDS: [(&str, bool); 6] = [
            ("true", true),
            ("false", true),
            ("null", true),
            ("NaN", false),
            ("Infinity", false),
            ("-Infinity", false),
        ];
        let found = WORDS.into_iter().find(|(word, _)| self.next_is(word));
        if let Some((word, is_json)) = found {
            out.push_str(if is_json || !self.strict { word } else { "null" });
        }
        found.is_some()
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self, out: &mut String) -> Result<(), NotJson> {
        let start = self.at;
        self.next_is("-");
        let zero = self.peek() == Some(b'0');
        if zero {
            self.at += 1;
        } else if self.digits() == 0 {
            return Err(self.wrong());
        }
        let whole = self.at;
        // As Python's reader, which takes what follows for the next thing when it is no fraction and no exponent.
        if self.next_is(".") && self.digits() == 0 {
            self.at = whole;
        }
        let mantissa = self.at;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _sign = self.next_is("+") || self.next_is("-");
            if self.digits() == 0 {
                self.at = mantissa;
            }
        }
        let text = &self.text[start..self.at];
        if self.at == whole {
            out.push_str(if text == "-0" { "0" } else { text });
            return Ok(());
        }
        if is_shortest(text) {
            out.push_str(text);
            return Ok(());
        }
        let number: f64 = text.parse().map_err(|_| NotJson { at: start })?;
        if number.is_finite() {
            write_float(number, out);
        } else {
            out.push_str(match (self.strict, number > 0.0) {
                (true, _) => "null",
                (false, true) => "Infinity",
                (false, false) => "-Infinity",
            });
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Text<'a>, NotJson> {
        if !self.next_is("\"") {
            return Err(self.wrong());
        }
        let text = self.text;
        let plain = text.as_bytes()[self.at..].iter();
        let plain =
            plain.take_while(|byte| matches!(**byte, b' '..=b'~') && !matches!(**byte, b'"' | b'\\')).count();
        if text.as_bytes().get(self.at + plain) == Some(&b'"') {
            let plain = &text[self.at..self.at + plain];
            self.at += plain.len() + 1;
            return Ok(Text::Plain(plain));
        }
        let mut points = Vec::new();
        loop {
            let char = self.text[self.at..].chars().next().ok_or_else(|| self.wrong())?;
            if char < ' ' {
                return Err(self.wrong());
            }
            self.at += char.len_utf8();
            match char {
                '"' => return Ok(Text::Points(points)),
                '\\' => {
                    let point = self.escaped()?;
                    match points.last().copied() {
                        Some(high @ 0xD800..=0xDBFF) if (0xDC00..=0xDFFF).contains(&point) => {
                            points.pop();
                            points.push(0x1_0000 + ((high - 0xD800) << 10) + (point - 0xDC00));
                        }
                        _ => points.push(point),
                    }
                }
                char => points.push(char.into()),
            }
        }
    }

    fn escaped(&mut self) -> Result<u32, NotJson> {
        let byte = self.peek().ok_or_else(|| self.wrong())?;
        let point = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let hex = self.text.get(self.at + 1..self.at + 5);
                let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let point = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
                self.at += if point.is_some() { 5 } else { 0 };
                return point.ok_or_else(|| self.wrong());
            }
            _ => return Err(self.wrong()),
        };
        self.at += 1;
        Ok(point.into())
    }

    fn write_string(&self, text: &Text<'_>, out: &mut String) {
        out.push('"');
        let points: &[u32] = match text {
            Text::Plain(text) => {
                out.push_str(text);
                &[]
            }
            Text::Points(points) => points,
        };
        for &point in points {
            let escaped = match point {
                0x22 => "\\\"",
                0x5C => "\\\\",
                0x08 => "\\b",
                0x0C => "\\f",
                0x0A => "\\n",
                0x0D => "\\r",
                0x09 => "\\t",
                0x20..=0x7E => {
                    out.extend(char::from_u32(point));
                    continue;
                }
                0xD800..=0xDFFF if self.strict => "\\ufffd",
                _ => {
                    write_units(point, out);
                    continue;
                }
            };
            out.push_str(escaped);
        }
        out.push('"');
    }
}

/// One `\u` for each unit of UTF-16.
fn write_units(point: u32, out: &mut String) {
    let mut unit = |unit: u32| {
        // Writing to a string can't fail.
        let _ = write!(out, "\\u{unit:04x}");
    };
    match point.checked_sub(0x1_0000) {
        None => unit(point),
        Some(rest) => {
            unit(0xD800 + (rest >> 10));
            unit(0xDC00 + (rest & 0x3FF));
        }
    }
}

/// Whether a number with a point is written as Python would: up to 15 digits mean a double of which these are the fewest
/// digits, if no zero stands at their end.
fn is_shortest(text: &str) -> bool {
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    let is_short = text.len() <= 15 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let is_small = whole.trim_start_matches('-') == "0" && fraction.starts_with("0000");
    is_short && !is_small && (fraction.len() == 1 || !fraction.ends_with('0'))
}

/// Python's `repr`: the fewest digits that mean this double, of several such the nearest, of two as near the even one
/// (Rust's own takes the upper); with an exponent from 1e16 on and below 1e-4.
fn write_float(number: f64, out: &mut String) {
    let fewest = format!("{number:e}");
    let digits = fewest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let nearest = format!("{number:.*e}", digits.saturating_sub(1));
    let text = if nearest.parse() == Ok(number) { nearest } else { fewest };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        // Writing to a string can't fail.
        let _ = write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        return;
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    out.push_str(sign);
    match usize::try_from(exponent) {
        Err(_) => {
            out.push_str("0.");
            out.extend((exponent + 1..0).map(|_| '0'));
            out.push_str(&digits);
        }
        Ok(exponent) => {
            let (whole, fraction) = digits.split_at(digits.len().min(exponent + 1));
            out.push_str(whole);
            out.extend((whole.len()..exponent + 1).map(|_| '0'));
            out.push('.');
            out.push_str(if fraction.is_empty() { "0" } else { fraction });
        }
    }
}
