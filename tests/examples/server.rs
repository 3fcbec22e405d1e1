//! The server under load: what it answers, whom it refuses, who goes away, and how it ends.

use std::io::{Cursor, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use image::{GrayImage, ImageFormat};
use ureq::Agent;

use crate::program::{Running, example};

struct Server {
    running: Running,
    base: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(example("thumbnail_server"));
        command.args(["--port", "0"]).args(args);
        let mut running = Running::start(command);
        let line = running.wait_for("listening on ");
        let base = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Server { running, base }
    }

    /// After Ctrl-C.
    fn end(self) -> String {
        self.running.interrupt();
        let ended = self.running.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }
}

fn picture(side: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = GrayImage::from_fn(side, side, |x, y| image::Luma([(x * 7 + y * 13) as u8]));
    picture.write_to(&mut file, ImageFormat::Png).expect("a picture");
    file.into_inner()
}

fn agent() -> Agent {
    Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
}

fn post(agent: &Agent, base: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut answer = agent.post(format!("{base}/thumbnail")).send(body).expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_vec().expect("a body"))
}

#[test]
fn it_answers_many_at_once_and_refuses_what_it_has_no_room_for() {
    let server = Server::start(&["--waiting", "4"]);
    let (file, answered, refused) = (picture(300), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let agent = agent();
                for _ in 0..10 {
                    match post(&agent, &server.base, &file) {
                        (200, png) => {
                            let small = image::load_from_memory(&png).expect("a thumbnail");
                            assert_eq!((small.width(), small.height()), (64, 64));
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        (503, why) => {
                            assert!(String::from_utf8_lossy(&why).contains("the queue is full"));
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let (answered, refused) = (answered.into_inner(), refused.into_inner());
    assert_eq!(answered + refused, 120);
    // Each of the twelve is answered or refused before it asks again, so at least as many go through as have room.
    assert!(answered >= 12, "{answered} answered");
    let (status, why) = post(&agent(), &server.base, b"no picture");
    assert_eq!(status, 422, "{}", String::from_utf8_lossy(&why));
    let last = server.end();
    assert!(last.contains("answered: "), "{last}");
}

#[test]
fn a_picture_that_takes_too_long_and_a_client_that_goes_cost_nobody_else() {
    let server = Server::start(&["--limit-ms", "1"]);
    let large = picture(3000);
    assert_eq!(post(&agent(), &server.base, &large).0, 504);
    server.end();

    let server = Server::start(&[]);
    let address = server.base.strip_prefix("http://").expect("a URL").to_owned();
    for _ in 0..5 {
        let mut client = TcpStream::connect(&address).expect("a connection");
        let head =
            format!("POST /thumbnail HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", large.len());
        client.write_all(head.as_bytes()).expect("a request");
        client.write_all(&large).expect("a request");
        // And is gone.
    }
    assert_eq!(post(&agent(), &server.base, &picture(100)).0, 200);
    server.end();
}
