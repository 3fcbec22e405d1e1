//! The recipe of docs/cluster.md for TLS and rights, run as it stands there: only the server's name and port are others.

use crate::RedisExecutor;
use crate::engine::conformance::in_time;
use crate::engine::redis::server::programs;
use crate::node::RedisNode;
use crate::roles::{in_role, role};
use concurrent_futures::prelude::*;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const DOCS: &str = include_str!("../../docs/cluster.md");
const LIMIT: Duration = Duration::from_secs(60);

/// The block of the docs in which this stands.
fn block(containing: &str) -> &'static str {
    let mut blocks = DOCS.split("```").skip(1).step_by(2);
    let block = blocks.find(|block| block.contains(containing)).unwrap();
    block.split_once('\n').unwrap().1
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connects(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A server as the docs say; none if the program has no TLS.
fn serve(program: &Path, folder: &Path) -> Option<(Ended, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = |text: &str| text.replace("server.example", "localhost").replace("6379", &port.to_string());
    let certificates = here(block("openssl req"));
    let made = Command::new("sh").args(["-e", "-c", &certificates]).current_dir(folder).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::write(folder.join("server.conf"), here(block("tls-port"))).unwrap();
    let log = fs::File::create(folder.join("server.log")).unwrap();
    let mut server = Command::new(program);
    server.arg("server.conf").current_dir(folder).stdin(Stdio::null()).stdout(log);
    let mut server = Ended(server.spawn().unwrap());
    let deadline = Instant::now() + LIMIT;
    while !connects(port) {
        if server.0.try_wait().unwrap().is_some() {
            let log = fs::read_to_string(folder.join("server.log")).unwrap();
            let has_none = ["Failed finding TLS support", "Bad directive or wrong number of arguments"];
            assert!(has_none.iter().any(|it| log.contains(it)), "{log}");
            return None;
        }
        assert!(Instant::now() < deadline, "the server does not start");
        thread::sleep(Duration::from_millis(5));
    }
    Some((server, port))
}

#[test]
#[ignore = "what a node runs"]
fn node_main() {
    if let Some(url) = role() {
        RedisNode::builder(&url).queue("thumbs").slots(2).serve().unwrap();
    }
}

#[test]
#[ignore = "what a client runs"]
fn client_main() {
    if let Some(url) = role() {
        let queue = env::var("RECIPE_QUEUE").unwrap();
        let told = match RedisExecutor::builder(url).queue(queue).no_node_timeout(LIMIT).build() {
            Err(error) => error.to_string(),
            Ok(executor) => {
                let lengths = executor.map(|text: String| text.len(), (0..200).map(|n| "x".repeat(n * 1000)));
                let total: usize = lengths.map(Result::unwrap).sum();
                total.to_string()
            }
        };
        fs::write(env::var_os("RECIPE_TOLD").unwrap(), told).unwrap();
    }
}

/// What a client of its own says.
fn client(url: &str, queue: &str, root: Option<&Path>, told: &Path) -> String {
    let mut client = in_role(Command::new(env::current_exe().unwrap()), "recipes::client_main", url);
    client.env("RECIPE_QUEUE", queue).env("RECIPE_TOLD", told);
    match root {
        Some(root) => client.env("SSL_CERT_FILE", root),
        None => client.env_remove("SSL_CERT_FILE"),
    };
    let mut client = Ended(client.spawn().unwrap());
    let deadline = Instant::now() + LIMIT;
    while client.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the client does not end");
        thread::sleep(Duration::from_millis(5));
    }
    let said = fs::read_to_string(told).unwrap();
    fs::remove_file(told).unwrap();
    said
}

fn run_the_recipe(program: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = serve(program, folder.path()) else { return false };
    let (root, told): (PathBuf, PathBuf) = (folder.path().join("root.crt"), folder.path().join("told"));
    let url = format!("rediss://thumbs:password@localhost:{port}");
    let mut node = in_role(Command::new(env::current_exe().unwrap()), "recipes::node_main", &url);
    let _node = Ended(node.env("SSL_CERT_FILE", &root).spawn().unwrap());
    let ask = |url: &str, queue: &str, root: Option<&Path>| client(url, queue, root, &told);
    let total: usize = (0..200).map(|n| n * 1000).sum();
    assert_eq!(ask(&url, "thumbs", Some(&root)), total.to_string());

    let other_queue = ask(&url, "other", Some(&root));
    assert!(other_queue.contains("doesn't permit it"), "{other_queue}");
    let wrong_password = ask(&url.replace("password", "guess"), "thumbs", Some(&root));
    assert!(wrong_password.contains("password") && !wrong_password.contains("guess"), "{wrong_password}");
    let nobody = ask(&url.replace("thumbs:password@", ""), "thumbs", Some(&root));
    assert!(nobody.contains("password"), "{nobody}");
    let unknown_root = ask(&url, "thumbs", None);
    assert!(unknown_root.contains("can't be trusted"), "{unknown_root}");
    let other_name = ask(&url.replace("localhost", "127.0.0.1"), "thumbs", Some(&root));
    assert!(other_name.contains("can't be trusted"), "{other_name}");
    let plain = ask(&url.replace("rediss", "redis"), "thumbs", Some(&root));
    assert!(plain.contains("could not be reached"), "{plain}");
    true
}

#[test]
#[ignore = "needs a server and openssl: ci/long/cluster.sh"]
fn tls_and_rights_as_the_docs_say() {
    in_time(|| {
        let programs = programs();
        assert!(!programs.is_empty(), "no redis-server and no valkey-server is here");
        let have_run = programs.iter().filter(|program| run_the_recipe(program)).count();
        // Valkey in a wheel has no TLS; Debian's servers have.
        assert!(have_run > 0, "no server here has TLS: {programs:?}");
    });
}
