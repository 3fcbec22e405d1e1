//! An HTTP server on 127.0.0.1 that has pictures, and is slow: each answer waits for a while.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Serves `/0`, `/1`, .. until the program ends: the pictures in turn, but for each `missing`-th number, which is not there.
pub(crate) fn start(
    pictures: Vec<Vec<u8>>,
    latency: Duration,
    missing: Option<u64>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let pictures: Arc<[Vec<u8>]> = pictures.into();
    thread::Builder::new().name("server".into()).spawn(move || {
        for connection in listener.incoming().flatten() {
            let pictures = pictures.clone();
            // One that can't be had leaves the connection to be closed, which the client sees.
            let _ = thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(move || answer_all(&connection, &pictures, latency, missing));
        }
    })?;
    Ok(address)
}

fn answer_all(
    connection: &TcpStream,
    pictures: &[Vec<u8>],
    latency: Duration,
    missing: Option<u64>,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection).lines();
    while let Some(request) = lines.next() {
        let request = request?;
        let number: Option<u64> =
            request.split(' ').nth(1).and_then(|path| path.strip_prefix('/')).and_then(|n| n.parse().ok());
        // The headers, which say nothing that matters here.
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        thread::sleep(latency);
        let is_there = |n: &u64| missing.is_none_or(|every| n % every != every - 1);
        let (status, body) = match number.filter(is_there) {
            Some(n) => ("200 OK", &*pictures[n as usize % pictures.len()]),
            None => ("404 Not Found", &b""[..]),
        };
        let mut to = connection;
        write!(to, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        to.write_all(body)?;
    }
    Ok(())
}
