//! Programs as users would write them, processes. They compile against face.rs as it stands, and ran against a
//! naive implementation of it. They are the acceptance test of the public face.
//! dev-dependencies: anyhow, futures, tokio, serde (derive), static_assertions, indicatif.

use concurrent_futures as cf;
use concurrent_futures::prelude::*;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

type Any<T = ()> = anyhow::Result<T>;

fn len(p: PathBuf) -> usize {
    p.as_os_str().len()
}

fn len_ref(p: &Path) -> usize {
    p.as_os_str().len()
}

fn shout(s: &str) -> String {
    s.to_uppercase()
}

fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn nothing() -> u32 {
    7
}

fn parse(s: String) -> Result<u32, std::num::ParseIntError> {
    s.parse()
}

fn any_parse(s: String) -> anyhow::Result<u32> {
    Ok(s.parse::<u32>()?)
}

fn boxed_parse(s: String) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Ok(s.parse::<u32>()?)
}

fn string_parse(s: String) -> Result<u32, String> {
    s.parse().map_err(|_| "bad".to_string())
}

fn ident<T>(t: T) -> T {
    t
}

fn dyn_user(e: &dyn Executor, v: Vec<PathBuf>) -> Any<Vec<usize>> {
    let one = e.submit(len, v[0].clone());
    one.result()?;
    Ok(e.map(len, v).collect::<Result<_, _>>()?)
}

fn gen_user<E: Executor + ?Sized>(e: &E, v: Vec<PathBuf>) -> Any<Vec<usize>> {
    Ok(e.map(|p| len_ref(&p), v).collect::<Result<_, _>>()?)
}

fn impl_user(e: impl Executor) -> Any<usize> {
    Ok(e.submit(len, "ab".into()).result()?)
}

fn lazy_user(e: &dyn Executor) -> impl Iterator<Item = Result<u32, cf::TaskError>> {
    e.map_with(cf::MapOptions::new().buffersize(4), |x: u32| x, 0..)
}

fn stored(e: &dyn Executor) -> cf::Map<u32> {
    e.map(|x: u32| x, 0..9)
}

struct Counting<E>(E, std::sync::atomic::AtomicUsize);

impl<E: Executor> Executor for Counting<E> {
    fn execute(&self, t: cf::Task) {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.execute(t)
    }
}

struct Wire {
    tx: std::sync::mpsc::Sender<cf::Task>,
}

impl Executor for Wire {
    fn execute(&self, task: cf::Task) {
        if let Err(lost) = self.tx.send(task) {
            lost.0.fail(cf::TaskError::Rejected(cf::Rejected::ShutDown));
        }
    }
}

fn wire() -> Wire {
    let (tx, rx) = std::sync::mpsc::channel::<cf::Task>();
    std::thread::spawn(move || {
        let mut out: HashMap<cf::FutureId, cf::Task> = HashMap::new();
        for mut task in rx {
            match task.encode() {
                Err(e) => {
                    task.fail(e);
                }
                Ok(bytes) => {
                    if !task.start() {
                        continue;
                    }
                    let id = task.id();
                    out.insert(id, task);
                    // SAFETY: the parcel comes from `Task::encode` of this very build, unaltered.
                    let reply = unsafe { cf::remote::execute(bytes.as_bytes()) };
                    if let Some(t) = out.remove(&id) {
                        t.complete(&reply);
                    }
                    assert!(out.remove(&id).is_none());
                }
            }
        }
    });
    Wire { tx }
}

#[test]
fn p02_processes_fn() -> Any {
    let p = ProcessPoolExecutor::new(2);
    assert_eq!(p.submit(len, PathBuf::from("abc")).result()?, 3);
    assert_eq!(p.submit(|x: u32| x + 1, 1).result()?, 2);
    assert_eq!(p.submit(|x| x + 1, 1u32).result()?, 2); // unannotated, capture-less
    assert_eq!(p.submit(|p| len_ref(&p), PathBuf::from("abc")).result()?, 3);
    assert_eq!(p.submit(|s: String| shout(&s), "a".into()).result()?, "A");
    assert_eq!(p.submit(|(a, b)| add(a, b), (1, 2)).result()?, 3);
    assert_eq!(p.submit(|()| nothing(), ()).result()?, 7);
    assert_eq!(p.submit(ident, 3u8).result()?, 3);
    assert_eq!(p.submit(ident::<u8>, 3).result()?, 3);
    assert_eq!(p.submit(u64::count_ones, 7).result()?, 3);
    assert_eq!(p.submit(Option::Some, 7u8).result()?, Some(7));
    let table: [fn(u32) -> u32; 2] = [|x| x + 1, |x| x * 2];
    let got: Vec<u32> =
        table.into_iter().map(|f| p.submit(f, 10)).map(|f| f.result()).collect::<Result<_, _>>()?;
    assert_eq!(got, [11, 20]);
    Ok(())
}

#[test]
fn p03_dyn() -> Any {
    let v = vec![PathBuf::from("abc")];
    let b: Box<dyn Executor> = Box::new(ProcessPoolExecutor::new(1));
    let a: Arc<dyn Executor> = Arc::new(ThreadPoolExecutor::new(1));
    let t = ThreadPoolExecutor::new(1);
    b.submit(len, "x".into()).result()?;
    a.submit(len, "x".into()).result()?;
    (&t as &dyn Executor).submit(len, "x".into()).result()?;
    dyn_user(&b, v.clone())?;
    dyn_user(&*b, v.clone())?;
    dyn_user(b.as_ref(), v.clone())?;
    dyn_user(&a, v.clone())?;
    dyn_user(&t, v.clone())?;
    gen_user(&b, v.clone())?;
    gen_user(&*a, v.clone())?;
    gen_user(&t, v.clone())?;
    assert_eq!(lazy_user(&a).nth(5).unwrap()?, 5);
    assert_eq!(stored(&b).len(), 9);
    assert_eq!(impl_user(t)?, 2);
    impl_user(a)?;
    impl_user(b)?;
    Ok(())
}

#[test]
fn p06_flat() -> Any {
    let t = ThreadPoolExecutor::new(1);
    let p = ProcessPoolExecutor::new(1);
    assert_eq!(t.submit(parse, "1".into()).result()??, 1);
    assert_eq!(t.submit(parse, "1".into()).flat_result()?, 1);
    assert_eq!(t.submit(any_parse, "1".into()).flat_result()?, 1);
    assert_eq!(t.submit(boxed_parse, "1".into()).flat_result()?, 1);
    assert_eq!(t.submit(string_parse, "1".into()).flat_result()?, 1);
    assert_eq!(t.try_submit(any_parse, "1".into()).result()?, 1);
    assert_eq!(p.try_submit(any_parse, "1".into()).result()?, 1);
    assert_eq!(p.try_submit(parse, "1".into()).result()?, 1);
    assert_eq!(p.try_submit(boxed_parse, "1".into()).result()?, 1);
    assert_eq!(p.try_submit(string_parse, "1".into()).result()?, 1);
    let e = p.try_submit(any_parse, "x".into()).result().unwrap_err();
    assert_eq!(e.to_string(), "invalid digit found in string");
    let e = t.try_submit(parse, "x".into()).result().unwrap_err();
    assert!(matches!(&e, cf::TaskError::Failed(f) if f.downcast_ref::<std::num::ParseIntError>().is_some()));
    let all: Vec<u32> = p.try_map(any_parse, ["1", "2"].map(String::from)).collect::<Result<_, _>>()?;
    assert_eq!(all, [1, 2]);
    let v = t
        .try_spawn(|| {
            let x: u32 = "4".parse()?;
            anyhow::Ok(x)
        })
        .result()?;
    assert_eq!(v, 4);
    Ok(())
}

#[test]
fn p18_third_party() -> Any {
    let w = wire();
    assert_eq!(w.submit(len, "abc".into()).result()?, 3);
    let c = Counting(w, 0.into());
    let e = c.try_submit(any_parse, "q".into()).result().unwrap_err();
    assert!(matches!(e, cf::TaskError::Failed(_)));
    assert_eq!(c.map(|x: u32| x + 1, 0..3).map(Result::unwrap).sum::<u32>(), 6);
    Ok(())
}

#[test]
fn p20_process_builder() -> Any {
    fn load(p: PathBuf) -> Result<(), std::io::Error> {
        let _ = p;
        Ok(())
    }
    fn warm(_: u32) {}
    let _p = ProcessPoolExecutor::builder().max_workers(2).try_initializer(load, "m".into()).build()?;
    let _p = ProcessPoolExecutor::builder().initializer(warm, 3).build()?;
    let _p = ProcessPoolExecutor::builder().initializer(|()| warm(1), ()).build()?;
    assert!(ProcessPoolExecutor::builder().max_workers(0).build().is_err());
    Ok(())
}

#[test]
fn p23_choose_at_run_time() -> Any {
    let n = 2;
    let e: Box<dyn Executor> = match n {
        0 => Box::new(cf::InlineExecutor::new()),
        1 => Box::new(ThreadPoolExecutor::new(2)),
        _ => Box::new(ProcessPoolExecutor::new(2)),
    };
    assert_eq!(e.map(|p| len_ref(&p), vec![PathBuf::from("ab")]).collect::<Result<Vec<_>, _>>()?, [2]);
    Ok(())
}
