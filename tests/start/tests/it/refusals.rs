//! Where a worker would be another program, or this one's `main`: `build` says why not, and starts nothing. And where it
//! might be thought so, and all is well.

use crate::program::{Folder, Program, START, limit, lines, run, skip};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Why `build` may refuse, each by words that no other cause has.
const IN_A_PLUGIN: &str = "a worker would not be recognised";
const MORE_RIGHTS: &str = "a setuid bit";
const THROUGH_ANOTHER: &str = "start it directly";
const NO_PROC: &str = "which can't be read";
const TRACED: &str = "--trace-children=yes";
const CAUSES: [&str; 5] = [IN_A_PLUGIN, MORE_RIGHTS, THROUGH_ANOTHER, NO_PROC, TRACED];

/// Refused for this cause and no other: a text that lists them all helps nobody.
#[track_caller]
fn assert_refused(output: &str, why: &str) {
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("refused: "), "{output}");
    let given: Vec<&str> = CAUSES.into_iter().filter(|cause| lines[0].contains(cause)).collect();
    assert_eq!(given, [why], "{output}");
    assert_eq!(lines[1], "no child");
}

#[test]
fn here_a_pool_is_built_and_nothing_started_yet() {
    limit(|| assert_eq!(lines(&["refusal"]), ["built", "no child"]));
}

fn plugin() -> std::path::PathBuf {
    let plugin = Path::new(START).with_file_name("examples").join("libplugin.so");
    assert!(plugin.exists(), "{} is not built: run all of `cargo test -p start`", plugin.display());
    plugin
}

#[test]
fn in_a_plugin_of_a_foreign_program() {
    limit(|| {
        assert_refused(&run(Command::new(env!("CARGO_BIN_EXE_host")).arg(plugin())), IN_A_PLUGIN);
    });
}

#[test]
fn in_a_plugin_of_python() {
    limit(|| {
        if Command::new("python3").arg("--version").output().is_err() {
            return skip("no python3 here, so no pool was asked for in it");
        }
        let program = "import ctypes, os, sys\n\
            build = ctypes.CDLL(sys.argv[1]).build_a_pool\n\
            build.restype = ctypes.c_char_p\n\
            print('refused: ' + build().decode())\n\
            try:\n    os.waitpid(-1, os.WNOHANG)\n    print('a child')\n\
            except ChildProcessError:\n    print('no child')\n";
        let mut python = Command::new("python3");
        assert_refused(&run(python.args(["-c", program]).arg(plugin())), IN_A_PLUGIN);
    });
}

#[test]
fn under_a_setuid_bit() {
    limit(|| {
        let folder = Folder::new("setuid");
        let program = folder.copy("program");
        // Whose it is must be another than who starts it.
        const NOBODY: u32 = 65534;
        if std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).is_err() {
            return skip("only root can give a program away, so no setuid bit was tried");
        }
        std::fs::set_permissions(&program, Permissions::from_mode(0o4755)).expect("a setuid bit");
        let output = run(Command::new(&program).arg("refusal"));
        if output.starts_with("built") {
            return skip("setuid bits have no effect in the temporary folder (nosuid), so none was tried");
        }
        assert_refused(&output, MORE_RIGHTS);
    });
}

/// `cap_net_raw+ep`, as `setcap` writes it, for a user who has no such right.
#[test]
fn with_file_capabilities() {
    limit(|| {
        const NOBODY: u32 = 65534;
        const NET_RAW: u32 = 13;
        let folder = Folder::new("capabilities");
        let program = folder.copy("program");
        // Revision 2 and the effective bit, then what is permitted and what is inheritable, the lower halves first.
        let words = [0x0200_0001, 1 << NET_RAW, 0, 0, 0_u32];
        let value: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let path = std::ffi::CString::new(program.to_str().expect("a plain path")).expect("no zero in it");
        let name = c"security.capability";
        // SAFETY: valid texts, and a value of that length.
        let set =
            unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
        if set != 0 {
            return skip("only root can give a program capabilities, so none were tried");
        }
        let output = run(Command::new(&program).arg("refusal").uid(NOBODY).gid(NOBODY));
        if output.starts_with("built") {
            return skip(
                "file capabilities have no effect in the temporary folder (nosuid), so none were tried",
            );
        }
        assert_refused(&output, MORE_RIGHTS);
    });
}

#[test]
fn started_through_the_dynamic_loader() {
    limit(|| {
        let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
        let Some(loader) = loaders.into_iter().find(|loader| Path::new(loader).exists()) else {
            return skip("no dynamic loader where it usually lies, so no start through it was tried");
        };
        assert_refused(&run(Command::new(loader).args([START, "refusal"])), THROUGH_ANOTHER);
    });
}

#[test]
fn without_proc() {
    limit(|| {
        let output = run(Command::new(START).args(["without-proc", "refusal"]));
        if output.starts_with("not permitted") {
            return skip("/proc can't be taken away here, so a start without it was not tried");
        }
        assert_refused(&output, NO_PROC);
    });
}

#[test]
fn a_program_whose_file_is_replaced_or_deleted_meanwhile_goes_on() {
    limit(|| {
        let folder = Folder::new("replaced");
        for how in ["replaced", "deleted"] {
            let path = folder.copy(how);
            let mut program = Program::spawn(Command::new(&path).arg("wait-and-check"));
            assert_eq!(program.line(), "waiting");
            match how {
                "replaced" => {
                    let other = folder.0.join("other");
                    std::fs::copy(env!("CARGO_BIN_EXE_host"), &other).expect("a copy");
                    std::fs::rename(&other, &path).expect("another file of that name");
                }
                _ => std::fs::remove_file(&path).expect("it is ours"),
            }
            program.say("go on");
            assert_eq!(program.line(), "checked", "{how}");
        }
    });
}

/// A copy whose linker made no build-id: the note that it is in is of another kind.
fn without_build_id(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.copy(name);
    let mut bytes = std::fs::read(&path).expect("a program");
    let head = [4_u32, 20, 3].map(u32::to_ne_bytes).concat();
    let note = [&head[..], b"GNU\0"].concat();
    // One that was linked without has none to lose.
    if let Some(at) = bytes.windows(note.len()).position(|window| window == note) {
        bytes[at + 8] = 0x7f;
        std::fs::write(&path, bytes).expect("it is ours");
    }
    path
}

/// Its contents identify a build, and no name or time.
#[test]
fn without_a_build_id_a_file_may_be_touched_renamed_replaced_and_deleted() {
    limit(|| {
        let folder = Folder::new("no-build-id");
        for how in ["left", "touched", "renamed", "replaced", "deleted"] {
            let path = without_build_id(&folder, how);
            let mut program = Program::spawn(Command::new(&path).arg("wait-and-check"));
            assert_eq!(program.line(), "waiting");
            match how {
                "left" => {}
                "touched" => {
                    let file = std::fs::File::options().append(true).open(&path);
                    let early = std::time::SystemTime::UNIX_EPOCH;
                    // A file that runs can't be opened for writing everywhere.
                    match file {
                        Ok(file) => file.set_modified(early).expect("it is ours"),
                        Err(_) => _ = run(Command::new("touch").args(["-d", "2001-01-01"]).arg(&path)),
                    }
                }
                "renamed" => std::fs::rename(&path, folder.0.join("elsewhere")).expect("it is ours"),
                "replaced" => {
                    let other = folder.0.join("other");
                    std::fs::copy(env!("CARGO_BIN_EXE_host"), &other).expect("a copy");
                    std::fs::rename(&other, &path).expect("another file of that name");
                }
                _ => std::fs::remove_file(&path).expect("it is ours"),
            }
            program.say("go on");
            assert_eq!(program.line(), "checked", "{how}");
        }
    });
}

#[test]
fn without_a_build_id_a_copy_is_the_same_build_and_a_changed_one_is_not() {
    limit(|| {
        let folder = Folder::new("builds");
        let (one, copy) = (without_build_id(&folder, "one"), without_build_id(&folder, "copy"));
        let changed = without_build_id(&folder, "changed");
        let mut bytes = std::fs::read(&changed).expect("a program");
        let text = b"no such situation";
        let places: Vec<usize> =
            (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
        assert!(!places.is_empty(), "it is among the texts of the program");
        for at in places {
            bytes[at] = b'N';
        }
        std::fs::write(&changed, bytes).expect("it is ours");
        let parcel = run(Command::new(&one).arg("parcel"));
        let execute = |by: &Path| run(Command::new(by).arg("execute").arg(parcel.trim()));
        for (by, said) in [(&one, "executed"), (&copy, "executed"), (&changed, "another build")] {
            assert_eq!(execute(by).trim(), said, "{}", by.display());
        }
        // With one and without it are two builds.
        assert_eq!(execute(START.as_ref()).trim(), "another build");
    });
}

/// What can't be read for lack of a descriptor is read by the next task.
#[test]
fn without_a_build_id_and_without_descriptors_one_task_is_refused_and_the_next_runs() {
    limit(|| {
        let folder = Folder::new("no-descriptors");
        let program = without_build_id(&folder, "program");
        let said = run(Command::new(program).arg("parcel-without-descriptors"));
        assert_eq!(said.lines().collect::<Vec<_>>(), ["another build", "executed"]);
    });
}

/// Whoever may run a program need not be able to read it.
#[test]
fn without_a_build_id_a_program_that_may_not_be_read() {
    limit(|| {
        const NOBODY: u32 = 65534;
        let folder = Folder::new("unreadable");
        let program = without_build_id(&folder, "program");
        std::fs::set_permissions(&program, Permissions::from_mode(0o711)).expect("it is ours");
        if std::os::unix::fs::chown(&program, Some(0), Some(0)).is_err() {
            return skip("only root can have a program that another may run and not read");
        }
        assert_eq!(run(Command::new(&program).arg("check").uid(NOBODY).gid(NOBODY)).trim(), "checked");
    });
}

/// Under valgrind `/proc/self/exe` names the program, and is valgrind.
#[test]
fn under_valgrind() {
    limit(|| {
        if Command::new("valgrind").arg("--version").output().is_err() {
            return skip("no valgrind here, so nothing was started under it");
        }
        let mut valgrind = Command::new("valgrind");
        assert_eq!(run(valgrind.args(["-q", "--tool=none", START, "check"])).trim(), "checked");
        // There a worker would be started under valgrind, which takes its name away.
        let mut valgrind = Command::new("valgrind");
        let traced = run(valgrind.args(["-q", "--tool=none", "--trace-children=yes", START, "refusal"]));
        assert_refused(&traced, TRACED);
    });
}

#[test]
fn a_worker_shows_the_names_of_its_program() {
    limit(|| {
        assert_eq!(
            lines(&["name", "one", "two words"]),
            ["start_0", r#"["name", "one", "two words"]"#, "true"]
        );
        let folder = Folder::new("names");
        let long = folder.copy("a-program-with-a-long-name");
        assert_eq!(run(Command::new(long).arg("name")).lines().next(), Some("a-program-wit_0"));
    });
}
