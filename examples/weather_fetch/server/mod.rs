//! An HTTP server on 127.0.0.1 that answers as data.gov.sg does, slowly: each answer waits for a fixed pause.
//!
//! One thread per connection, with a small stack, asleep during the pause. A poll loop was not worth its crate:
//! for 1200 answers over 400 connections all these threads together used 0.13 s of processor time, accepting
//! included, where the fetching threads used 0.63 s; for days of a reading a minute it is 2 % of theirs.

pub(crate) mod answers;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod weather;

use std::{
    collections::HashMap,
    io::{self, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::civil::Date;

use self::{
    answers::Answers,
    faults::{Fault, Faults},
    http::{Body, Request, Response},
};
use crate::{decode::Api, rate::RateLimit};

/// Enough for the frames of a connection's thread, in the dev profile too.
const STACK: usize = 128 * 1024;

/// Everything an answer depends on.
pub(crate) struct Settings {
    pub(crate) answers: Answers,
    /// From the request's last byte to the answer's first.
    pub(crate) latency: Duration,
    pub(crate) faults: Faults,
    /// Calls beyond it are answered by 429.
    pub(crate) rate: Option<RateLimit>,
}

/// Serves until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    /// How often each question was asked.
    attempts: Mutex<HashMap<String, u32>>,
    closed: AtomicBool,
}

impl Server {
    /// Starts to serve on a free port.
    pub(crate) fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { settings, attempts: Mutex::default(), closed: AtomicBool::new(false) });
        let accepting = thread::Builder::new().name("server".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        })?;
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address)); // wakes the accepting thread
        if let Some(accepting) = self.accepting.take() {
            // A thread that panicked has said so already.
            let _ = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        // Where the system has no thread left the connection is dropped: the client asks again.
        let _ = thread::Builder::new().name("connection".to_owned()).stack_size(STACK).spawn(move || {
            // An error is the client's going away; it shows there.
            let _ = serve(connection, &shared);
        });
    }
}

/// Answers one request after the other until the client hangs up.
fn serve(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(2048, connection.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        let due = Instant::now() + shared.settings.latency;
        let fault = shared.settings.faults.draw(&request.target, shared.count(&request.target));
        let response = shared.answer(&request, fault);
        let cut_off = fault == Some(Fault::CutOff) && matches!(response.body, Body::Gzip(_));
        let bytes = response.to_bytes(&request)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if cut_off {
            connection.write_all(&bytes[..bytes.len() / 2])?;
            return connection.shutdown(Shutdown::Both);
        }
        connection.write_all(&bytes)?; // at once: two small packets would wake the client twice
        if !request.keep_alive {
            break;
        }
    }
    Ok(())
}

impl Shared {
    /// How often this question was asked before.
    fn count(&self, target: &str) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(target.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    fn answer(&self, request: &Request, fault: Option<Fault>) -> Response<'_> {
        let Settings { answers, rate, .. } = &self.settings;
        let plain = |status, body| Response { status, headers: "", body: Body::Plain(body) };
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
        match fault {
            Some(Fault::TooMany) => {
                Response { headers: "Retry-After: 1\r\n", ..plain("429 Too Many Requests", TOO_MANY) }
            }
            Some(Fault::Internal) => plain("500 Internal Server Error", "{}"),
            Some(Fault::Empty) => plain("200 OK", answers::empty(answers.api)),
            Some(Fault::CutOff) | None => Response { status: "200 OK", headers: "", body: Body::Gzip(page) },
        }
    }
}

const BAD_DATE: &str =
    r#"{"code":4,"name":"ERROR_PARAMS","data":null,"errorMsg":"Write the date as YYYY-MM-DD."}"#;
const NOT_FOUND: &str =
    r#"{"code":17,"name":"REAL_TIME_API_DATA_NOT_FOUND","data":null,"errorMsg":"Data not found"}"#;
const TOO_MANY: &str =
    r#"{"code":24,"name":"TOO_MANY_REQUESTS","data":null,"errorMsg":"Rate limit exceeded"}"#;
