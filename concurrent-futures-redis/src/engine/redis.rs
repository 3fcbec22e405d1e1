//! A Redis or Valkey server. Here and in the files below is all that names the `redis` crate.
//!
//! Keys, for queue `q`, build `b`, life `L`; all have the tag `{cf:q}`, hence one slot of a cluster:
//!
//! | key | holds |
//! |---|---|
//! | `{cf:q}:nodes` | hash: nodes of all builds, as they describe themselves |
//! | `{cf:q}:lease:<n>` | there while the lease of a node lives |
//! | `{cf:q}:b:life` | the life |
//! | `{cf:q}:b:L:tasks` | stream with the group `nodes`: the entries |
//! | `…:sessions`, `…:clients` | a counter; hash: names of clients |
//! | `…:client:<c>` | hash: session, time to live, up to where it has read; there while the client lives |
//! | `…:replies:<c>` | stream: its answers |
//! | `…:args:<c>`, `…:results:<c>` | hashes: values beside the stream, by `seq/attempt` |
//! | `…:blobs:<c>` | hash: shared data that its tasks carry, by its hash |
//! | `…:limit:<n>` | hash: up to where (`m`) and how many more (`credit`) a node may have begun |
//! | `…:joined` | hash: nodes that joined in this life: the lease, behind `buried ` once they are |
//! | `…:buried:<n>` | there for a lease after a node was buried |
//! | `…:testimony`, `…:held` | hashes: what a node told of an earlier life |
//! | `…:held:<c>` | hash: what nodes told to hold of a client and have not answered, by `seq/attempt` |
//! | `…:control` | stream: orders |
//!
//! All but `life`, `nodes` and `lease` run out after a day without a beat.

mod connection;
mod link;
mod scripts;
#[cfg(test)]
pub(crate) mod server;
mod value;

use super::{Engine, Fault, Link};
use crate::error::ConnectError;
use ::redis::io::tcp::TcpSettings;
use ::redis::{Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisError};
use link::RedisLink;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// One queue of one build on a Redis or Valkey server.
pub(crate) struct RedisServer {
    client: Client,
    address: String,
    keys: Arc<Keys>,
}

/// What the keys begin with.
pub(super) struct Keys {
    /// Where the life is kept.
    life: String,
    nodes: String,
    /// Before the life.
    base: String,
}

impl Keys {
    /// A key of a life.
    fn own(&self, life: &str, rest: &str) -> String {
        format!("{}{life}:{rest}", self.base)
    }
}

impl RedisServer {
    /// Reads the URL, and connects to nothing yet.
    pub(crate) fn new(url: &str, queue: &str, build: &str) -> Result<Self, Fault> {
        if queue.is_empty() || queue.contains(['{', '}']) {
            return Err(Fault::Refused(format!(
                "a queue can't be called {queue:?}: a name without braces is needed"
            )));
        }
        // Nothing of the URL goes into the message: it may hold a password.
        let info = url.into_connection_info().map_err(|error| {
            let detail = error.detail().filter(|detail| !detail.contains('@')).unwrap_or("");
            let reason = if error.to_string().contains("TLS") {
                "it asks for TLS, which is not compiled in"
            } else {
                detail
            };
            Fault::Refused(format!("the server's URL can't be used: {reason}"))
        })?;
        // The crate leaves Nagle's algorithm on, which holds small requests back.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        #[cfg(feature = "tls")]
        if let ConnectionAddr::TcpTls { .. } = info.addr() {
            // An error says that the program has chosen one before: that is its right.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let address = match info.addr() {
            ConnectionAddr::TcpTls { .. } => format!("rediss://{}", info.addr()),
            ConnectionAddr::Unix(_) => format!("unix:{}", info.addr()),
            _ => format!("redis://{}", info.addr()),
        };
        let client = Client::open(info).map_err(|error| fault(&address, &error))?;
        let (nodes, base) = (format!("{{cf:{queue}}}:nodes"), format!("{{cf:{queue}}}:{build}:"));
        Ok(RedisServer { client, address, keys: Arc::new(Keys { life: format!("{base}life"), nodes, base }) })
    }
}

impl RedisServer {
    /// Refuses a connection without TLS to another machine.
    pub(crate) fn check_plaintext(&self) -> Result<(), ConnectError> {
        let is_open = match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) => !is_loopback(host),
            _ => false,
        };
        if !is_open {
            return Ok(());
        }
        let why = "it is on another machine, and without TLS an attacker on the network could run any function of this \
                   program: use `rediss://`, or say `allow_plaintext()`, or `--allow-plaintext` for a node, if the network is trusted";
        Err(ConnectError::Refused { server: self.address.clone(), why: why.to_owned() })
    }
}

/// Whether a host is this machine, by what its name says.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Engine for RedisServer {
    fn connect(&self) -> Result<Box<dyn Link>, Fault> {
        let connection =
            self.client.get_connection_with_timeout(CONNECT).map_err(|error| fault(&self.address, &error))?;
        Ok(Box::new(RedisLink::new(connection, self.keys.clone(), self.address.clone())?))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

/// What an error of the `redis` crate means to the protocol.
fn fault(address: &str, error: &RedisError) -> Fault {
    let detail = error.detail().unwrap_or("");
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            return Fault::Refused(format!(
                "{address} refuses user or password ({detail}): put the right ones into its URL"
            ));
        }
        ErrorKind::InvalidClientConfig => return Fault::Refused(format!("{address} can't be used: {error}")),
        _ => {}
    }
    match error.code() {
        Some(code) => told(address, code, detail),
        None => {
            let text = error.to_string();
            if text.contains("invalid peer certificate") {
                Fault::Refused(format!(
                    "{address} can't be trusted ({text}): its certificate must come from a root that this machine knows"
                ))
            } else {
                Fault::Lost(format!("{address}: {text}"))
            }
        }
    }
}

/// What an error that the server told means to the protocol.
fn told(address: &str, code: &str, detail: &str) -> Fault {
    match code {
        // `NOGROUP`: the stream of this life is gone.
        "OVER" | "NOGROUP" => Fault::Over,
        "FENCED" => Fault::Fenced,
        "FULL" | "OOM" => Fault::Full,
        // Older servers wrap what went wrong inside a script.
        "ERR" if detail.contains("OOM command not allowed") => Fault::Full,
        "NOAUTH" | "WRONGPASS" => Fault::Refused(format!(
            "{address} asks for another user or password ({detail}): put the right ones into its URL"
        )),
        "NOPERM" => Fault::Refused(format!(
            "{address} doesn't permit it ({detail}): its access list must give this user the keys of the queue, and \
             among the commands +client|id +client|kill"
        )),
        "WRONGTYPE" => {
            Fault::Refused(format!("{address} keeps something else under a key of the queue ({detail})"))
        }
        "MOVED" | "ASK" | "CROSSSLOT" => Fault::Refused(format!(
            "{address} belongs to a cluster and another server of it has the queue: {code} {detail}"
        )),
        "ERR" if detail.starts_with("unknown") || detail.contains("syntax error") => {
            Fault::Refused(format!("{address} is too old: {detail}. Redis 6.2, or any Valkey, is needed"))
        }
        // Among them LOADING, BUSY, READONLY, MASTERDOWN, MISCONF: it may be right again later.
        _ => Fault::Lost(format!("{address}: {code} {detail}")),
    }
}
