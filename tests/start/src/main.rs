//! A program with a pool, in the situations that the tests put it in: `start SITUATION [ARGUMENT ...]`.

// Named before the others: see start-late.
extern crate start_late;

mod builds;
mod disk;
mod edges;
mod ends;
mod life;
mod memory;
mod sandbox;
mod signals;
mod stacks;
mod stdio;
mod storm;
mod stranger;
mod terminal;

use concurrent_futures::{ExecutorExt, ProcessPoolExecutor};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os("START_INIT").is_some() {
        concurrent_futures::init();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] | ["check"] => {
            start::check();
            println!("checked");
        }
        ["wait-and-check"] => {
            println!("waiting");
            std::io::stdin().read_line(&mut String::new()).expect("the word to go on");
            start::check();
            println!("checked");
        }
        ["refusal"] => refusal(),
        ["parcel"] => builds::print_parcel(),
        ["parcel-without-descriptors"] => builds::parcel_without_descriptors(),
        ["execute", parcel] => builds::execute(parcel),
        ["name", ..] => name(),
        ["print", lines] => print(lines.parse().expect("a number")),
        ["hold", "many"] => life::hold_many(),
        ["hold", what] => life::hold(what),
        ["static"] => life::leave_a_static_pool(),
        ["short-thread"] => life::build_on_a_short_thread(),
        ["forked"] => life::use_in_a_fork(),
        ["stacks"] => stacks::tell(),
        ["end", "threads", situation] => ends::threads(situation),
        ["end", _, situation] => ends::of_processes(situation),
        ["masked"] => signals::with_all_blocked(),
        ["sigchld"] => signals::with_sigchld_ignored(),
        ["worker-signals"] => signals::of_a_worker(),
        ["without-proc", ref rest @ ..] => sandbox::without_proc(rest),
        ["without", calls, "check"] => {
            sandbox::refuse(calls);
            start::check();
            println!("checked");
        }
        ["closed", numbers, output, report] => stdio::with_closed(numbers, output, report),
        ["disk", how, ref rest @ ..] => disk::make(how, rest),
        ["empty-root", folder] => disk::leave_for_an_empty_root(folder),
        ["full-output"] => disk::print_to_a_full_one(),
        ["few-descriptors"] => edges::few_descriptors(),
        ["few-processes"] => edges::few_processes(),
        ["little-memory", more] => edges::little_memory(more.parse().expect("a number")),
        ["little-stack", ref rest @ ..] => edges::little_stack(rest),
        ["on-a-little-stack"] => edges::on_a_little_stack(),
        ["scores"] => memory::scores(),
        ["devour", group] => memory::devour(group),
        ["storm"] => storm::endure(),
        ["mark"] => stranger::tell_mark(),
        ["pass-on", name] => stranger::pass_on(name),
        ["nameless"] => stranger::become_nameless(),
        ["one-processor"] => sandbox::on_one_processor(),
        ["one-processor-at-first"] => {
            let all = sandbox::leave_one_processor();
            start::check();
            sandbox::run_on(&all);
            start::check();
            println!("checked");
        }
        ["without", calls, "hold", "many"] => {
            sandbox::refuse(calls);
            life::hold_many();
        }
        ["without", calls, "crowd"] => {
            sandbox::refuse(calls);
            sandbox::crowd();
        }
        ["without", calls, "kill"] => {
            sandbox::refuse(calls);
            sandbox::kill();
        }
        ["error"] => sandbox::first_error(),
        ["without", calls, "error"] => {
            sandbox::refuse(calls);
            sandbox::first_error();
        }
        ["shell", ref job @ ..] => terminal::shell(job),
        ["job", what, ref rest @ ..] => terminal::job(what, rest.first().copied().unwrap_or_default()),
        _ => {
            eprintln!("no such situation: {arguments:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What `build` says, and whether any process was started for it.
fn refusal() {
    match start::refusal() {
        Some(text) => println!("refused: {text}"),
        None => println!("built"),
    }
    // SAFETY: asks for the status of any child, without a place to put it.
    let child = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    println!("{}", if child == -1 { "no child" } else { "a child" });
}

/// What a worker is called by default, and what its task sees of the arguments.
fn name() {
    let pool = ProcessPoolExecutor::new(1);
    let (pid, arguments) = pool
        .submit(|()| (std::process::id(), std::env::args().collect::<Vec<String>>()), ())
        .result()
        .expect("a worker");
    println!("{}", start::comm(pid));
    println!("{:?}", &arguments[1..]);
    println!("{}", arguments[0].starts_with("concurrent-futures-worker/"));
}

/// Lines from several workers at once: on standard output by `println!`, on standard error in one piece each.
fn print(lines: u32) {
    let pool = ProcessPoolExecutor::new(4);
    let print: fn(u32) -> u32 = |n| {
        let fill = char::from(b'a' + (n % 26) as u8).to_string().repeat(900);
        println!("out {n} {fill} end");
        let line = format!("err {n} {fill} end\n");
        eprint!("{line}");
        // One that dies after its line has printed it.
        if n % 50 == 49 {
            std::process::abort();
        }
        n
    };
    let done = pool.map(print, 0..lines).filter(Result::is_ok).count();
    drop(pool);
    println!("{done} done");
}
