//! An HTTP server that computes: axum answers, a pool of processes makes thumbnails of the pictures that clients send.
//!
//! What a server needs of a pool: a bounded queue, so that too many requests are refused and not kept; a time limit; a request whose
//! client has gone is cancelled; a picture that crashes the decoder costs one request; and at the end the work that is there is finished.
//!
//! ```text
//! cargo run --release --example thumbnail_server -- --port 8080
//! curl --data-binary @photo.jpg http://127.0.0.1:8080/thumbnail > thumbnail.png
//! curl http://127.0.0.1:8080/stats
//! ```

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;
#[path = "common/small.rs"]
mod small;

use std::error::Error;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser;
use concurrent_futures::prelude::*;
use concurrent_futures::{Rejected, TaskError, TaskOptions, WhenFull};
use serde::{Deserialize, Serialize};

/// Makes thumbnails of pictures that are posted to /thumbnail. Ctrl-C ends it: what it has accepted is answered first.
///
/// Exit code: 0 after Ctrl-C, 1 when it can't serve, 2 for wrong arguments.
#[derive(Parser)]
#[command(name = "thumbnail_server", version)]
struct Arguments {
    /// The port on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// How many pictures may wait; more are refused with status 503
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    waiting: u16,
    /// How long a picture may take, in milliseconds; then its worker is ended
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    limit_ms: u64,
}

/// Bytes in one piece, from process to process.
#[derive(Serialize, Deserialize)]
struct File(#[serde(with = "serde_bytes")] Vec<u8>);

type AnyError = Box<dyn Error + Send + Sync>;

/// The task, in a worker.
fn thumbnail(File(bytes): File) -> Result<File, AnyError> {
    Ok(File(small::small(&bytes)?))
}

struct Server {
    pool: ProcessPoolExecutor,
    limit: Duration,
}

async fn make(State(server): State<Arc<Server>>, body: Bytes) -> Response {
    let options = TaskOptions::new().timeout(server.limit);
    let task = server.pool.try_submit_with(options, thumbnail, File(body.into()));
    // When the client goes, axum drops this function's future, and with it the task.
    match task.cancel_on_drop().or_kill().await {
        Ok(File(png)) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        Err(error) => {
            let status = match &error {
                TaskError::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
                TaskError::Rejected(Rejected::Full) => StatusCode::SERVICE_UNAVAILABLE,
                TaskError::TimeLimit(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{error}\n")).into_response()
        }
    }
}

async fn stats(State(server): State<Arc<Server>>) -> String {
    format!("{:?}\n", server.pool.stats())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let served = runtime.map_err(AnyError::from).and_then(|runtime| runtime.block_on(serve(&arguments)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a stderr, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: &Arguments) -> Result<(), AnyError> {
    let pool = ProcessPoolExecutor::builder()
        .name_prefix("thumbnail")
        .queue_capacity(arguments.waiting.into(), WhenFull::Reject)
        // Ctrl-C is for this process alone; its workers go when it is done.
        .own_process_group()
        .build()?;
    let server = Arc::new(Server { pool, limit: Duration::from_millis(arguments.limit_ms) });
    let routes = Router::new()
        .route("/thumbnail", post(make))
        .route("/stats", get(stats))
        .layer(DefaultBodyLimit::max(32 << 20))
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    // Without a stderr it serves as well.
    let _ = writeln!(std::io::stderr(), "listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await }).await?;
    // `join` would block this thread of the runtime.
    server.pool.closed().await?;
    println!("answered: {} pictures", server.pool.stats().finished);
    Ok(())
}
