//! `outside list` names the instances, `outside run NAME` runs one.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => {
            for (name, instance) in outside::instances() {
                println!("{name} {}", instance.reports.join(" "));
            }
            ExitCode::SUCCESS
        }
        ["run", wanted] => match outside::instances().find(|(name, _)| name == wanted) {
            Some((_, instance)) => {
                (instance.run)();
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("there is no instance {wanted}: `outside list` names them");
                ExitCode::from(2)
            }
        },
        _ => {
            eprintln!("usage: outside list | outside run NAME");
            ExitCode::from(2)
        }
    }
}
