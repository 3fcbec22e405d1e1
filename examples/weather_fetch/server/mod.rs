//! An HTTP server on 127.0.0.1 that answers as data.gov.sg does, slowly: each answer waits for a fixed pause.
//!
//! One thread per connection, with a small stack, asleep during the pause. A poll loop was not worth its crate:
//! for 1200 answers over 400 connections all these threads together used 0.13 s of processor time, accepting
//! included, where the fetching threads used 0.63 s; for days of a reading a minute it is 2 % of theirs.

pub(crate) mod answers;
mod end;
pub(crate) mod faults;
pub(crate) mod http;
mod shift;
pub(crate) mod weather;

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::civil::Date;

use self::{
    answers::Answers,
    end::{End, Until},
    faults::{Fault, Faults},
    http::{Body, Request, Response},
    shift::{Open, Shift},
};
use crate::{decode::Api, rate::RateLimit};

/// Everything an answer depends on.
pub(crate) struct Settings {
    pub(crate) answers: Answers,
    /// From the request's last byte to the answer's first.
    pub(crate) latency: Duration,
    pub(crate) faults: Faults,
    /// Calls beyond it are answered by 429.
    pub(crate) rate: Option<RateLimit>,
    pub(crate) outages: Option<Outages>,
}

/// A server that goes away, with all its connections, and comes back to the same port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outages {
    /// It serves for so long at a time,
    pub(crate) every: Duration,
    /// and is away for so long.
    pub(crate) last: Duration,
}

/// What a server has done so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Faulty ones and none at all among them.
    pub(crate) answers: usize,
    /// How often each fault was committed.
    pub(crate) faults: BTreeMap<Fault, usize>,
    pub(crate) outages: usize,
}

/// Serves until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// While it serves.
    until: Option<Until>,
    /// The one shift of a server that stays,
    shift: Option<Shift>,
    /// or who sends it away and calls it back.
    keeper: Option<thread::JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    /// How often each question was asked.
    attempts: Mutex<HashMap<String, u32>>,
    tally: Mutex<Tally>,
}

impl Server {
    /// Starts to serve on a free port.
    pub(crate) fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let outages = settings.outages;
        let shared = Arc::new(Shared { settings, attempts: Mutex::default(), tally: Mutex::default() });
        let ((until, end), shift) = (End::new(), Shift::begin(listener, &shared)?);
        let mut server = Self { address, shared, until: Some(until), shift: None, keeper: None };
        match outages {
            None => server.shift = Some(shift),
            Some(outages) => {
                let shared = Arc::clone(&server.shared);
                let keeper = thread::Builder::new().name("keeper".to_owned());
                server.keeper = Some(keeper.spawn(move || keep(shift, address, outages, &shared, &end))?);
            }
        }
        Ok(server)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has done so far.
    pub(crate) fn tally(&self) -> Tally {
        self.shared.tally().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.until = None;
        if let Some(keeper) = self.keeper.take() {
            // A thread that panicked has said so already.
            let _ = keeper.join();
        }
    }
}

/// Goes away and comes back until it is over.
fn keep(mut shift: Shift, address: SocketAddr, outages: Outages, shared: &Arc<Shared>, end: &End) {
    loop {
        end.sleep(outages.every);
        if end.has_come() {
            return;
        }
        drop(shift);
        shared.tally().outages += 1;
        end.sleep(outages.last);
        shift = loop {
            if end.has_come() {
                return;
            }
            let begun = TcpListener::bind(address).and_then(|listener| Shift::begin(listener, shared));
            match begun {
                Ok(shift) => break shift,
                // Somebody else has the port for the moment: a caller whose own port it happened to become, say.
                Err(_) => end.sleep(Duration::from_millis(10)),
            }
        };
    }
}

/// Answers one request after the other until the client hangs up, or the shift ends.
fn serve(mut connection: &TcpStream, shared: &Shared, open: &Open) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(LOOK_EVERY))?;
    let mut reader = BufReader::with_capacity(2048, UntilEnd { connection, open });
    while let Some(request) = Request::read(&mut reader)? {
        let due = Instant::now() + shared.settings.latency;
        let fault = shared.settings.faults.draw(&request.target, shared.count(&request.target));
        shared.tally().answers += 1;
        let mut response = shared.answer(&request, fault);
        // The other faults are in the answer already, or there was no page to spoil.
        let fault = fault.filter(|_| matches!(response.body, Body::Gzip(_)));
        response.excess = match fault {
            Some(Fault::TooLong) => EXCESS,
            Some(Fault::TooShort) => -EXCESS,
            _ => 0,
        };
        let bytes = response.to_bytes(&request)?;
        open.end.sleep(due.saturating_duration_since(Instant::now()));
        match fault {
            // At once: two small packets would wake the client twice.
            None | Some(Fault::TooShort) => connection.write_all(&bytes)?,
            Some(Fault::Crumbs) => drip(connection, &bytes, shared.settings.latency, open)?,
            Some(fault) => return spoil(connection, &bytes, fault, open),
        }
        if open.end.has_come() || !request.keep_alive {
            break;
        }
    }
    Ok(())
}

/// How often a connection that waits for a request looks whether its shift is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads until the shift is over. That a connection was shut down ends a read that waits on Unix, and not on every system.
struct UntilEnd<'a> {
    connection: &'a TcpStream,
    open: &'a Open,
}

impl Read for UntilEnd<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.read(into) {
                // By either name, as the system has it.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
                        && !self.open.end.has_come() => {}
                read => return read,
            }
        }
    }
}

/// How far a wrong `Content-Length` is off.
const EXCESS: isize = 100;
/// Between two bytes of an answer that never ends.
const TRICKLE: Duration = Duration::from_millis(20);

/// A fault that the connection doesn't survive.
fn spoil(mut connection: &TcpStream, bytes: &[u8], fault: Fault, open: &Open) -> io::Result<()> {
    match fault {
        Fault::CutOff => connection.write_all(&bytes[..bytes.len() / 2])?,
        Fault::TooLong => connection.write_all(bytes)?,
        Fault::Garbage => connection.write_all(b"\x00\xff<1>\x1b[31m Mon 23.9 Tue 24.1\r\n\r\n")?,
        Fault::Reset => return reset(connection),
        Fault::Trickle => {
            for byte in &bytes[..bytes.len() - 1] {
                connection.write_all(std::slice::from_ref(byte))?;
                open.end.sleep(TRICKLE);
                if open.end.has_come() {
                    break;
                }
            }
            hold(connection);
        }
        _ => hold(connection),
    }
    connection.shutdown(Shutdown::Both)
}

/// Waits until the client has had enough.
fn hold(mut connection: &TcpStream) {
    while let Ok(1..) = connection.read(&mut [0; 64]) {}
}

/// Byte by byte, in so much time.
fn drip(mut connection: &TcpStream, bytes: &[u8], time: Duration, open: &Open) -> io::Result<()> {
    const PAUSES: usize = 16;
    for part in bytes.chunks(bytes.len().div_ceil(PAUSES)) {
        for byte in part {
            connection.write_all(std::slice::from_ref(byte))?;
        }
        open.end.sleep(time / PAUSES as u32);
    }
    Ok(())
}

/// Lets the connection end by a reset, as soon as nobody holds it any more.
#[cfg(all(unix, feature = "process"))]
fn reset(connection: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO))?)
}

/// Only the system can, and here is no crate to ask it: an end without an answer.
#[cfg(not(all(unix, feature = "process")))]
fn reset(connection: &TcpStream) -> io::Result<()> {
    connection.shutdown(Shutdown::Both)
}

impl Shared {
    /// How often this question was asked before.
    fn count(&self, target: &str) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(target.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request, fault: Option<Fault>) -> Response<'_> {
        let Settings { answers, rate, .. } = &self.settings;
        let plain = |status, body| Response { status, headers: "", excess: 0, body: Body::Plain(body) };
        if request.method != "GET" {
            return plain("405 Method Not Allowed", "{}");
        }
        let path = match answers.api {
            Api::V1 => "/v1/environment/air-temperature",
            Api::V2 => "/v2/real-time/api/air-temperature",
        };
        if request.path() != path {
            return plain("404 Not Found", NOT_FOUND);
        }
        let Some(Ok(date)) = request.parameter("date").map(str::parse::<Date>) else {
            return plain("400 Bad Request", BAD_DATE);
        };
        if rate.as_ref().is_some_and(|rate| !rate.try_acquire()) {
            return plain("429 Too Many Requests", TOO_MANY);
        }
        let page = match request.parameter("paginationToken") {
            None => Some(0),
            Some(token) => answers::page_of(token),
        };
        let Some(page) = page.and_then(|page| answers.pages(date)?.get(page)) else {
            return plain("404 Not Found", NOT_FOUND);
        };
        if let Some(fault) = fault {
            *self.tally().faults.entry(fault).or_default() += 1;
        }
        match fault {
            Some(Fault::TooMany) => {
                Response { headers: "Retry-After: 1\r\n", ..plain("429 Too Many Requests", TOO_MANY) }
            }
            Some(Fault::Internal) => plain("500 Internal Server Error", "{}"),
            Some(Fault::Empty) => plain("200 OK", answers::empty(answers.api)),
            // What else may go wrong, goes wrong on the way.
            _ => Response { body: Body::Gzip(page), ..plain("200 OK", "") },
        }
    }
}

const BAD_DATE: &str =
    r#"{"code":4,"name":"ERROR_PARAMS","data":null,"errorMsg":"Write the date as YYYY-MM-DD."}"#;
const NOT_FOUND: &str =
    r#"{"code":17,"name":"REAL_TIME_API_DATA_NOT_FOUND","data":null,"errorMsg":"Data not found"}"#;
const TOO_MANY: &str =
    r#"{"code":24,"name":"TOO_MANY_REQUESTS","data":null,"errorMsg":"Rate limit exceeded"}"#;
