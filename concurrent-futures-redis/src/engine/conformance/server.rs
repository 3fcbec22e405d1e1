//! What only one of the engines has: faults that are drawn; passwords, rights and options of a real server.

use super::actors::{LONG, MANY, attempt, done, enter, id, name, node};
use super::{Harness, in_time, over_servers};
use crate::engine::memory::MemoryServer;
use crate::engine::redis::RedisServer;
use crate::engine::{ConnectionId, Engine, Fault, Step};
use crate::wire::{EntryId, Life, Testimony};
use std::collections::HashMap;

/// What comes of submits of one task each under drawn faults: of each whether it was lost, and what is in the stream.
fn submit_with_losses(seed: u64) -> (Vec<bool>, Vec<u64>) {
    let server = MemoryServer::new();
    let engine = server.engine("q", "b");
    let session = enter(&server).open("c");
    let life = enter(&server).life;
    server.lose_answers(seed, 4);
    let lost = (1..=200).map(|seq| {
        let mut link = engine.connect().unwrap();
        let submitted = link.submit(&life, MANY, &[attempt("c", seq, session)]);
        if submitted.is_err() {
            assert!(matches!(link.enter(), Err(Fault::Lost(_))), "a link that is lost is of no more use");
        }
        submitted.is_err()
    });
    let lost = lost.collect();
    server.lose_answers(seed, 0);
    (lost, enter(&server).scan("c"))
}

#[test]
fn answers_are_lost_by_the_seed() {
    in_time(|| {
        let (lost, there) = submit_with_losses(1);
        assert_eq!(submit_with_losses(1), (lost.clone(), there.clone()));
        assert_ne!(submit_with_losses(2).0, lost);
        let count = |is_lost: bool, is_there: bool| {
            let is_so = |seq: &u64| lost[*seq as usize - 1] == is_lost && there.contains(seq) == is_there;
            (1..=200).filter(is_so).count()
        };
        assert_eq!(count(false, false), 0);
        // A quarter is lost, and half of that was done.
        assert!((30..=70).contains(&(count(true, true) + count(true, false))));
        assert!(count(true, true) >= 8 && count(true, false) >= 8);
    });
}

#[test]
fn a_lost_fetch_is_history() {
    in_time(|| {
        let server = MemoryServer::new();
        let engine = server.engine("q", "b");
        let mut it = enter(&server);
        let session = it.open("c");
        it.submit("c", session, 1..=100);
        server.lose_answers(3, 2);
        let mut heard = 0;
        for _ in 0..100 {
            let mut link = engine.connect().unwrap();
            heard += link.fetch(&it.life, &name("n"), 1, super::actors::SHORT).map_or(0, |page| page.len());
        }
        server.lose_answers(3, 0);
        let given = it.history("n", EntryId::ZERO, 1000).len();
        assert!(heard < given && given < 100, "{heard} {given}");
    });
}

#[test]
fn a_server_that_is_stopped() {
    in_time(|| {
        let server = MemoryServer::new();
        let mut it = enter(&server);
        let session = it.open("c");
        it.submit("c", session, 1..=1);
        server.stop();
        assert!(matches!(server.engine("q", "b").connect().map(drop), Err(Fault::Lost(_))));
        assert!(matches!(it.link.scan(&it.life, &name("c")), Err(Fault::Lost(_))));
        server.start();
        let mut again = enter(&server);
        assert_eq!(again.life, it.life);
        assert_eq!(again.scan("c"), [1]);
    });
}

fn refusal(engine: &RedisServer) -> String {
    match engine.connect().and_then(|mut link| link.enter()) {
        Err(Fault::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_address_has_no_password() {
    let of = |url: &str| RedisServer::new(url, "q", "b").map(|server| server.address());
    assert_eq!(of("redis://user:secret@example.org:7000/3").unwrap(), "redis://example.org:7000");
    assert_eq!(of("redis://example.org").unwrap(), "redis://example.org:6379");
    for bad in
        ["http://user:secret@example.org", "user:secret@example.org", "redis://user:secret@example.org/x", ""]
    {
        let Err(Fault::Refused(reason)) = of(bad) else { panic!("{bad} was taken") };
        assert!(!reason.contains("secret"), "{reason}");
    }
    for queue in ["", "a{b", "a}b"] {
        assert!(matches!(
            RedisServer::new("redis://localhost", queue, "b").map(drop),
            Err(Fault::Refused(_))
        ));
    }
}

#[test]
fn a_wrong_password_is_refused() {
    over_servers(|server| {
        server.query::<()>(&["ACL", "SETUSER", "u", "on", ">secret", "~*", "+@all"]);
        server.query::<()>(&["ACL", "SETUSER", "default", "nopass"]);
        let reason = refusal(&server.engine_as("u:wrong@"));
        assert!(reason.contains("password") && !reason.contains("wrong@"), "{reason}");
        assert!(server.engine_as("u:secret@").connect().unwrap().enter().is_ok());
        assert!(refusal(&server.engine_as("nobody:secret@")).contains("user"));
    });
}

#[test]
fn no_password_is_refused() {
    over_servers(|server| {
        // What the test itself asks from here on is refused as well.
        server.query::<()>(&["CONFIG", "SET", "requirepass", "secret"]);
        assert!(refusal(&server.engine_as("")).contains("password"));
        assert!(server.engine_as(":secret@").connect().unwrap().enter().is_ok());
    });
}

/// Makes every step once.
fn make_every_step(engine: &dyn Engine) -> Result<Life, Fault> {
    let mut link = engine.connect()?;
    let life = link.enter()?;
    let (c, n) = (name("c"), name("n"));
    let session = link.open_session(&life, &c, LONG)?;
    let testimony = Testimony { was: Some("m".into()), held: vec![id("c", 9)], ..Testimony::default() };
    link.join(&life, &node("n"), LONG, &testimony)?;
    link.put_argument(&life, &id("c", 1), b"x")?;
    let places = link.submit(&life, MANY, &[attempt("c", 1, session), attempt("c", 2, session)])?;
    link.cancel(&life, session, &id("c", 2), places[1])?;
    link.submit(&life, MANY, &[attempt("c", 3, session)])?;
    let entries = link.fetch(&life, &n, 2, LONG)?;
    link.history(&life, &n, EntryId::ZERO, 10)?;
    link.put_result(&life, &id("c", 1), b"x")?;
    let step = Step {
        answers: vec![done(&entries[0])],
        begins: super::actors::begins(&entries[1..]),
        limit: entries[1].id,
        ..Step::default()
    };
    link.step(&life, &n, &step)?;
    let answers = link.read(&life, &c, EntryId::ZERO, 10, LONG)?;
    link.read(&life, &c, super::actors::place(&answers[0]), 10, LONG / 100_000)?;
    link.scan(&life, &c)?;
    link.order(&life, &crate::engine::Order::Kill(id("c", 1)))?;
    link.orders(&life, Some(EntryId::ZERO), LONG)?;
    link.orders(&life, None, LONG / 100_000)?;
    link.witnesses(&life)?;
    link.beat_client(&life, &c, LONG)?;
    link.beat_node(&life, &node("n"), LONG)?;
    link.read_marks(&life, std::slice::from_ref(&c))?;
    link.get_result(&life, &id("c", 1))?;
    link.put_result(&life, &id("c", 1), b"x")?;
    link.put_argument(&life, &id("c", 3), b"x")?;
    let mut old = engine.connect()?;
    link.end_connection(old.connection()?)?;
    link.wake_client(&life, &c)?;
    link.read(&life, &c, super::actors::place(&answers[0]), 10, LONG)?;
    // One dies, one leaves.
    link.join(&life, &node("dead"), LONG / 600_000, &Testimony::default())?;
    super::actors::until("a burial", || link.bury(&life).is_ok_and(|buried| !buried.is_empty()));
    link.join(&life, &node("left"), LONG, &Testimony::default())?;
    link.leave_node(&life, &name("left"))?;
    link.open_session(&life, &name("left"), LONG)?;
    link.leave_client(&life, &name("left"))?;
    Ok(life)
}

#[test]
fn few_rights_are_enough() {
    over_servers(|server| {
        let rights = "+@stream +@hash +@scripting +@connection +@transaction +get +set +incr +pexpire +exists +del +unlink +info";
        let mut user = vec!["ACL", "SETUSER", "u", "on", ">secret", "~{cf:q}*"];
        user.extend(rights.split(' '));
        server.query::<()>(&user);
        make_every_step(&server.engine_as("u:secret@")).unwrap();

        server.query::<()>(&["ACL", "SETUSER", "v", "on", ">secret", "~{cf:elsewhere}*", "+@all"]);
        let reason = refusal(&server.engine_as("v:secret@"));
        assert!(reason.contains("access list"), "{reason}");

        server.query::<()>(&["ACL", "SETUSER", "w", "on", ">secret", "~*", "+@all", "-client"]);
        let mut link = server.engine_as("w:secret@").connect().unwrap();
        link.enter().unwrap();
        for refused in [link.connection().map(drop), link.end_connection(ConnectionId(1))] {
            let Err(Fault::Refused(reason)) = refused else { panic!("not refused: {refused:?}") };
            assert!(reason.contains("+client|id +client|kill"), "{reason}");
        }
    });
}

#[test]
fn keys_have_the_tag_and_an_end() {
    over_servers(|server| {
        let life = make_every_step(&server.engine_as("")).unwrap();
        let keys: Vec<String> = server.query(&["KEYS", "*"]);
        assert!(keys.len() > 15, "{keys:?}");
        let (own, mut ends) = (format!("{{cf:q}}:b:{}:", life.0), HashMap::new());
        for key in &keys {
            assert!(
                key.starts_with(&own)
                    || ["{cf:q}:nodes", "{cf:q}:b:life", "{cf:q}:lease:n"].contains(&key.as_str()),
                "{key}"
            );
            ends.insert(key.as_str(), server.query::<i64>(&["PTTL", key]));
        }
        let endless: Vec<&str> = ends.iter().filter(|(_, end)| **end == -1).map(|(key, _)| *key).collect();
        assert!(endless.iter().all(|key| ["{cf:q}:nodes", "{cf:q}:b:life"].contains(key)), "{endless:?}");
        // The next life removes the tasks of this one.
        server.restart_with_data();
        let life = enter(server).life;
        let tasks: Vec<String> = server.query(&["KEYS", "*:tasks"]);
        assert_eq!(tasks, [format!("{{cf:q}}:b:{}:tasks", life.0)]);
    });
}

#[test]
fn a_life_without_its_tasks_is_over() {
    over_servers(|server| {
        let mut it = enter(server);
        let session = it.open("c");
        let keys: Vec<String> = server.query(&["KEYS", "*:tasks"]);
        server.query::<()>(&["DEL", &keys[0]]);
        assert_eq!(it.link.submit(&it.life, MANY, &[attempt("c", 1, session)]), Err(Fault::Over));
        assert_eq!(it.link.beat_client(&it.life, &name("c"), LONG), Err(Fault::Over));
        assert_ne!(enter(server).life, it.life);
    });
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again() {
    over_servers(|server| {
        let mut it = enter(server);
        let session = it.open("c");
        for seq in 1..=3 {
            server.query::<()>(&["SCRIPT", "FLUSH"]);
            it.link.put_argument(&it.life, &id("c", seq), b"x").unwrap();
            server.query::<()>(&["SCRIPT", "FLUSH"]);
            it.submit("c", session, seq..=seq);
        }
        assert_eq!(it.scan("c"), [1, 2, 3]);
        assert!(it.link.get_argument(&it.life, &id("c", 3)).unwrap().is_some());
    });
}

#[test]
fn a_server_that_throws_data_away_is_refused() {
    over_servers(|server| {
        let set = |name: &str, value: &str| server.query::<()>(&["CONFIG", "SET", name, value]);
        set("maxmemory-policy", "allkeys-lru");
        // Without a limit it throws nothing away.
        assert!(server.engine_as("").connect().unwrap().enter().is_ok());
        set("maxmemory", "100mb");
        assert!(refusal(&server.engine_as("")).contains("noeviction"));
        set("maxmemory-policy", "noeviction");
        assert!(server.engine_as("").connect().unwrap().enter().is_ok());
    });
}

#[test]
fn ids_are_compared_as_numbers() {
    over_servers(|server| {
        // Digits that a floating point number has not: an entry beside the last that was delivered.
        let mut it = enter(server);
        let session = it.open("c");
        let tasks = format!("{{cf:q}}:b:{}:tasks", it.life.0);
        let add = |place: &str| server.query::<String>(&["XADD", &tasks, place, "e", "0 1 1 1 0 0 c\nx"]);
        let first = EntryId { millis: 9_007_199_254_740_993, number: 18_446_744_073_709_551_613 };
        add(&first.to_string());
        assert_eq!(it.fetch("n", 1).len(), 1);
        add(&first.next().to_string());
        assert_eq!(it.link.cancel(&it.life, session, &id("c", 1), first), Ok(false));
        assert_eq!(it.link.cancel(&it.life, session, &id("c", 1), first.next()), Ok(true));
        let last = EntryId { millis: first.millis, number: u64::MAX };
        assert_eq!(last.next(), EntryId { millis: first.millis + 1, number: 0 });
        assert_eq!(EntryId::parse(&last.to_string()), Some(last));
    });
}
