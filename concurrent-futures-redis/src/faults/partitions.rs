//! Networks that part: each node, and a client, in a network namespace of its own, as on another machine, whose link to the
//! server's is cut and healed while tasks run.
//!
//! `ci/long/cluster.sh` runs this program in a namespace of its own, in which it may do what it likes; the nodes' namespaces end
//! with them.

use super::{Counted, LEASE, LIMIT, NODES, PERMITTED, Rig, SLOTS, TASKS, TestServer, rounds_in, submit_all};
use crate::RedisExecutor;
use crate::roles::{in_role, role};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, TaskOptions};
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Set where this program is alone in its network.
const NETWORK: &str = "CLUSTER_NETWORK";

/// Lets a process begin in a network of its own when a line comes: when its link is there.
const AWAIT_LINK: &str = "read _; exec \"$@\"";

/// Of a hardware address that nobody has: what is sent to it is lost without a word.
const NOBODY: &str = "02:00:00:00:00:99";

/// What may be with nodes when a client is cut off: its window.
const WINDOW: usize = 4 * NODES * SLOTS + 64;

/// The cable between the server's network and that of one process.
pub(super) struct Link {
    number: u32,
    pid: u32,
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Link {
    /// Lays it to a process that waits for it in a network of its own.
    fn lay(child: &mut Child, number: u32) -> Self {
        let link = Link { number, pid: child.id() };
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        let deadline = Instant::now() + LIMIT;
        while network(&link.pid.to_string()) == network("self") {
            assert!(Instant::now() < deadline, "no network of its own");
            thread::yield_now();
        }
        let (pid, name) = (link.pid.to_string(), link.name());
        run("ip", &["link", "add", &name, "type", "veth", "peer", "name", "lead", "netns", &pid]);
        run("ip", &["address", "add", &format!("{}/30", link.server()), "dev", &name]);
        run("ip", &["link", "set", &name, "up"]);
        link.inside(&["address", "add", &format!("{}/30", link.process()), "dev", "lead"]);
        link.inside(&["link", "set", "dev", "lead", "up"]);
        writeln!(child.stdin.as_mut().unwrap()).unwrap();
        link
    }

    fn name(&self) -> String {
        format!("cut{}", self.number)
    }

    /// Its two ends.
    fn server(&self) -> String {
        server_at(self.number)
    }

    fn process(&self) -> String {
        format!("10.{}.{}.2", 77 + self.number / 256, self.number % 256)
    }

    /// Runs `ip` in the network of the process.
    fn inside(&self, args: &[&str]) {
        let network = format!("--net=/proc/{}/ns/net", self.pid);
        run("nsenter", &[&[&network, "ip"], args].concat());
    }

    fn cut(&self) {
        run("ip", &["link", "set", &self.name(), "down"]);
    }

    fn heal(&self) {
        run("ip", &["link", "set", &self.name(), "up"]);
    }

    /// What the server sends is lost, or comes again.
    fn lose_from_server(&self, is_lost: bool) {
        let (process, name) = (self.process(), self.name());
        run("ip", &neighbour(is_lost, &process, &name));
    }

    /// What the process sends is lost, or comes again.
    fn lose_to_server(&self, is_lost: bool) {
        self.inside(&neighbour(is_lost, &self.server(), "lead"));
    }
}

fn server_at(number: u32) -> String {
    format!("10.{}.{}.1", 77 + number / 256, number % 256)
}

fn neighbour<'a>(is_lost: bool, address: &'a str, device: &'a str) -> Vec<&'a str> {
    if is_lost {
        vec!["neighbour", "replace", address, "lladdr", NOBODY, "dev", device, "nud", "permanent"]
    } else {
        vec!["neighbour", "delete", address, "dev", device]
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It may have gone with its process.
        let _ = Command::new("ip").args(["link", "delete", &self.name()]).output();
    }
}

/// Starts this program in a role and a network of its own.
fn start_apart(role: &str, server: &TestServer, log: &Path) -> (Child, Link) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let url = server.url("").replace("127.0.0.1", &server_at(number));
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", AWAIT_LINK, "sh"]).arg(env::current_exe().unwrap());
    let mut child = in_role(command, role, &url).env("CLUSTER_LOG", log).spawn().unwrap();
    let link = Link::lay(&mut child, number);
    (child, link)
}

/// A server in this network, and nodes each in one of its own.
fn apart(program: &Path) -> Rig {
    assert!(
        env::var_os(NETWORK).is_some(),
        "this changes the network: ci/long/cluster.sh gives it one of its own"
    );
    run("ip", &["link", "set", "lo", "up"]);
    let server = TestServer::start(program);
    server.query::<()>(&["CONFIG", "SET", "protected-mode", "no"]);
    server.query::<()>(&["CONFIG", "SET", "bind", "0.0.0.0"]);
    let (nodes, links) = (0..NODES).map(|_| start_apart("faults::node_main", &server, Path::new(""))).unzip();
    Rig::over(server, nodes, links)
}

/// Longer than a lease, so that the others have given it up.
fn wait_two_leases() {
    thread::sleep(2 * LEASE);
}

fn cut_a_node(rig: &mut Rig) {
    rig.links[0].cut();
    wait_two_leases();
    rig.links[0].heal();
}

fn cut_a_node_for_a_moment(rig: &mut Rig) {
    rig.links[0].cut();
    thread::sleep(LEASE / 4);
    rig.links[0].heal();
}

fn cut_every_node(rig: &mut Rig) {
    rig.links.iter().for_each(Link::cut);
    wait_two_leases();
    rig.links.iter().for_each(Link::heal);
}

fn lose_what_the_server_says(rig: &mut Rig) {
    rig.links[0].lose_from_server(true);
    wait_two_leases();
    rig.links[0].lose_from_server(false);
}

fn lose_what_a_node_says(rig: &mut Rig) {
    rig.links[0].lose_to_server(true);
    wait_two_leases();
    rig.links[0].lose_to_server(false);
}

/// Without retries nothing begins twice, no more is lost than may be, and all nodes serve again.
fn parted(name: &str, permitted: usize, fault: fn(&mut Rig)) {
    rounds_in(apart, name, |rig| {
        let counted = rig.run(0, fault).check(permitted);
        rig.await_nodes(NODES);
        counted
    });
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_is_cut_off_for_a_moment() {
    parted("a node is cut off for a quarter of a lease", 0, cut_a_node_for_a_moment);
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_is_cut_off_for_two_leases() {
    parted("a node is cut off for two leases", PERMITTED, cut_a_node);
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_is_cut_off_and_its_tasks_have_retries() {
    rounds_in(apart, "a node is cut off for two leases, with retries", |rig| {
        let counted = rig.run(3, cut_a_node);
        assert_eq!((counted.ok, &counted.other[..]), (TASKS as usize, &[][..]), "{counted:?}");
        counted
    });
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn every_node_is_cut_off_for_two_leases() {
    parted("every node is cut off for two leases", NODES * PERMITTED, cut_every_node);
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_hears_nothing_for_two_leases() {
    parted("a node hears nothing for two leases", PERMITTED, lose_what_the_server_says);
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_is_not_heard_for_two_leases() {
    parted("a node is not heard for two leases", PERMITTED, lose_what_a_node_says);
}

/// Writes down who runs it and whether another one does at this moment, and runs until a file is there.
fn hold((log, number): (PathBuf, u32)) -> u32 {
    let lock = fs::File::create(log.with_extension(number.to_string())).unwrap();
    let is_alone = lock.try_lock().is_ok();
    let mut file = fs::File::options().append(true).create(true).open(&log).unwrap();
    file.write_all(format!("{} {is_alone}\n", parent_id()).as_bytes()).unwrap();
    while !log.with_extension("open").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    number
}

struct OpenOnDrop(PathBuf);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, "");
    }
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_node_that_is_cut_off_ends_its_tasks_before_they_run_elsewhere() {
    rounds_in(apart, "a node that is cut off ends its tasks first", |rig| {
        // Also when an assertion fails: the executor's drop waits for its tasks.
        let opened = OpenOnDrop(rig.log().with_extension("open"));
        // Two slots are left for what the node that is cut off runs.
        let options = || TaskOptions::new().retries(3);
        let submit = |n| rig.executor().submit_with(options(), hold, (rig.log(), n));
        let futures: Vec<Future<u32>> = (0..4).map(submit).collect();
        let deadline = Instant::now() + LIMIT;
        let begun = |count: usize| loop {
            let log = fs::read_to_string(rig.log()).unwrap_or_default();
            let lines: Vec<(u32, bool)> = log.lines().filter_map(parse).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < deadline, "{lines:?}, {:?}", rig.executor().stats());
            thread::sleep(Duration::from_millis(5));
        };
        let first = begun(4);
        let (cut, _) = first[0];
        let link = rig.links.iter().find(|link| link.pid == cut).unwrap();
        link.cut();
        let again = begun(4 + first.iter().filter(|(pid, _)| *pid == cut).count());
        link.heal();
        assert!(again.iter().all(|(_, is_alone)| *is_alone), "run twice at once: {again:?}");
        assert!(again[4..].iter().all(|(pid, _)| *pid != cut), "{again:?}");
        drop(opened);
        let mut counted = Counted::default();
        for future in futures {
            assert!(future.result_timeout(LIMIT).unwrap().is_ok());
            counted.ok += 1;
        }
        counted
    });
}

fn parse(line: &str) -> Option<(u32, bool)> {
    let (pid, is_alone) = line.split_once(' ')?;
    Some((pid.parse().ok()?, is_alone.parse().ok()?))
}

#[test]
#[ignore = "what a client runs that is cut off"]
fn client_main() {
    if let Some(url) = role() {
        let log = PathBuf::from(env::var_os("CLUSTER_LOG").unwrap());
        let executor = RedisExecutor::builder(url).queue("q").lease(LEASE).allow_plaintext().build().unwrap();
        let mut counted = Counted::default();
        for future in as_completed(submit_all(&executor, 0, &log)).timeout(LIMIT) {
            counted.note(future.unwrap());
        }
        let told = format!("{} {}\n{}", counted.ok, counted.lost, counted.other.join("\n"));
        fs::write(log.with_extension("told"), told).unwrap();
    }
}

/// Cuts a client off for so long.
fn cut_client(name: &str, permitted: usize, time: Duration) {
    rounds_in(apart, name, |rig| {
        let (mut client, link) = start_apart("faults::partitions::client_main", &rig.server, &rig.log());
        let deadline = Instant::now() + LIMIT;
        while rig.begun().len() < TASKS as usize / 4 {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        link.cut();
        thread::sleep(time);
        link.heal();
        while client.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the client hangs");
            thread::sleep(Duration::from_millis(5));
        }
        let told = fs::read_to_string(rig.log().with_extension("told")).unwrap();
        let (counts, other) = told.split_once('\n').unwrap();
        let (ok, lost) = counts.split_once(' ').unwrap();
        let counted = Counted {
            ok: ok.parse().unwrap(),
            lost: lost.parse().unwrap(),
            other: other.lines().map(str::to_owned).collect(),
            begun_twice: rig.begun().values().filter(|times| **times > 1).count(),
        };
        counted.check(permitted)
    });
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_client_is_cut_off_for_a_moment() {
    cut_client("a client is cut off for half a lease", 0, LEASE / 2);
}

#[test]
#[ignore = "needs a network of its own: ci/long/cluster.sh"]
fn a_client_is_cut_off_for_three_leases() {
    cut_client("a client is cut off for three leases", WINDOW, 3 * LEASE);
}
