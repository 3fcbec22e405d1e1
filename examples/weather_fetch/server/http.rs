//! As much of HTTP/1.1 as a server needs that answers GET with bodies it has at hand.

use std::io::{self, BufRead, Read};

use flate2::read::GzDecoder;

const LONGEST_HEAD: u64 = 16 * 1024;

/// The first line of a request, and what its headers say that matters here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) keep_alive: bool,
    pub(crate) accepts_gzip: bool,
}

impl Request {
    /// Waits for the next request; none when the client is done.
    pub(crate) fn read(connection: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = connection.take(LONGEST_HEAD);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an HTTP request"));
        };
        let mut request = Self { method, target, keep_alive: version == "HTTP/1.1", accepts_gzip: false };
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into()); // cut off, or longer than we read
            }
            let Some((name, value)) = line.split_once(':') else { return Ok(Some(request)) };
            let value = value.trim().to_ascii_lowercase();
            match name.to_ascii_lowercase().as_str() {
                "connection" if value.contains("close") => request.keep_alive = false,
                "accept-encoding" => request.accepts_gzip = value.contains("gzip"),
                // A body is not read, so what follows it can't be either.
                "content-length" | "transfer-encoding" => request.keep_alive = false,
                _ => {}
            }
        }
    }

    /// The path, and the value of a query parameter. Nothing here needs percent-decoding.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|pair| pair.1)
    }
}

/// A status line's number and words, headers of its own, and a JSON body.
pub(crate) struct Response<'a> {
    pub(crate) status: &'static str,
    /// Each with its line end.
    pub(crate) headers: &'static str,
    /// How much too long `Content-Length` says that the body is; 0 in an honest answer.
    pub(crate) excess: isize,
    pub(crate) body: Body<'a>,
}

pub(crate) enum Body<'a> {
    Plain(&'static str),
    /// Goes out as it is to a client that accepts it.
    Gzip(&'a [u8]),
}

impl Response<'_> {
    pub(crate) fn to_bytes(&self, request: &Request) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let (body, encoding) = match self.body {
            Body::Plain(text) => (text.as_bytes(), ""),
            Body::Gzip(gzip) if request.accepts_gzip => (gzip, "Content-Encoding: gzip\r\n"),
            Body::Gzip(gzip) => {
                GzDecoder::new(gzip).read_to_end(&mut plain)?;
                (plain.as_slice(), "")
            }
        };
        let connection = if request.keep_alive { "keep-alive" } else { "close" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: application/json\r\n{encoding}Content-Length: {}\r\n{}Connection: {connection}\r\n\r\n",
            self.status,
            body.len().saturating_add_signed(self.excess),
            self.headers,
        );
        Ok([head.as_bytes(), body].concat())
    }
}
