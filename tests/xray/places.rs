//! Where results are written: a file is whole or untouched, a link is followed, and what is no regular file stays what it is.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use crate::{place::Place, within};

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = Place::new(path)?.begin()?;
    draft.write_all(text.as_bytes())?;
    draft.finish()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_there_whole_at_the_end_and_keeps_its_permissions() {
    within(60, || {
        let folder = folder();
        let path = folder.path().join("a");
        for (before, after) in [(None, 0o666), (Some(0o600), 0o600), (Some(0o664), 0o664)] {
            if let Some(mode) = before {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            }
            let mut draft = Place::new(&path).and_then(Place::begin).expect("a place");
            let old = fs::read(&path).ok();
            draft.write_all(b"new").expect("it is written");
            assert_eq!(fs::read(&path).ok(), old, "nothing changes before the end");
            let beside = draft.temporary().expect("it is beside").to_owned();
            assert!(beside.is_file() && beside.parent() == path.parent());
            draft.finish().expect("it is in its place");
            assert_eq!(fs::read(&path).expect("it is there"), b"new");
            let mode = fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
            // The umask takes away from a new file's.
            assert!(mode == after || before.is_none() && mode & !after == 0, "{mode:o}, not {after:o}");
        }
        drop(Place::new(&path).and_then(Place::begin).expect("a place"));
        assert_eq!(names(folder.path()), ["a"]);
    });
}

/// Also through several links, out of the folder, and to what does not exist yet.
#[test]
fn links_are_followed() {
    within(60, || {
        let (near, far) = (folder(), folder());
        let link = |to: &Path, name: &str| {
            let path = near.path().join(name);
            symlink(to, &path).expect("a link");
            path
        };
        let target = far.path().join("linked-to");
        let absolute = link(&target, "absolute");
        let chain = link(Path::new("absolute"), "chain");
        let folder_link = link(far.path(), "folder");
        for (path, text) in [
            (&absolute, "to what is not there yet"),
            (&chain, "again"),
            (&folder_link.join("linked-to"), "and again"),
        ] {
            write(path, text).expect("it is written");
            assert_eq!(fs::read_to_string(&target).expect("the target"), text);
        }
        let is_link = |path: &Path| fs::symlink_metadata(path).expect("a link").is_symlink();
        assert!([&absolute, &chain, &folder_link].into_iter().all(|path| is_link(path)));
        assert_eq!(
            (names(near.path()), names(far.path())),
            (["absolute", "chain", "folder"].map(str::to_owned).to_vec(), vec!["linked-to".to_owned()],)
        );

        let (a, b) = (link(Path::new("b"), "a"), link(Path::new("a"), "b"));
        assert!(Place::new(&a).is_err() && is_link(&a) && is_link(&b), "a circle");
        let lost = link(Path::new("nowhere/target"), "lost");
        let error = write(&lost, "text").expect_err("there is no such folder");
        assert!(error.to_string().contains("there is no folder"), "{error}");
    });
}

#[test]
fn a_pipe_and_a_device_are_written_to() {
    within(60, || {
        let folder = folder();
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        symlink("pipe", &link).expect("a link");
        for path in [&pipe, &link] {
            let reader = std::thread::spawn({
                let pipe = pipe.clone();
                move || fs::read_to_string(pipe).expect("text")
            });
            write(path, "through").expect("it is written");
            assert_eq!(reader.join().expect("no panic"), "through");
        }
        // A reader that has had enough.
        let (send, has_gone) = std::sync::mpsc::channel();
        std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                drop(fs::File::open(pipe).expect("a pipe"));
                send.send(())
            }
        });
        let mut draft = Place::new(&pipe).and_then(Place::begin).expect("a place");
        has_gone.recv().expect("it goes");
        draft.write_all(&[0; 1 << 20]).expect("it is kept apart");
        assert_eq!(draft.finish().expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
        assert!(fs::metadata(&pipe).expect("it is there").file_type().is_fifo());
        assert_eq!(names(folder.path()), ["link", "pipe"]);

        // Not /dev/null itself: were this wrong, root would have a file there from now on.
        let null = folder.path().join("null");
        symlink("/dev/null", &null).expect("a link");
        write(&null, "away").expect("it is written");
        assert!(fs::metadata("/dev/null").expect("it is there").file_type().is_char_device());
    });
}

/// As a shell gives it by `3>file` and `/dev/fd/3`: what is open is written to, whatever its name is by now.
#[test]
#[cfg(target_os = "linux")]
fn an_open_file_without_a_name_is_written_to() {
    use std::os::fd::AsRawFd;
    within(60, || {
        let folder = folder();
        let path = folder.path().join("a");
        fs::write(&path, "something long that was there before").expect("a file");
        let mut open = fs::File::open(&path).expect("it is there");
        fs::remove_file(&path).expect("it was there");
        let link = folder.path().join("link");
        symlink(format!("/proc/self/fd/{}", open.as_raw_fd()), &link).expect("a link");
        write(&link, "new").expect("it is written");
        let mut text = String::new();
        open.read_to_string(&mut text).expect("text");
        assert_eq!(text, "new");
        assert_eq!(names(folder.path()), ["link"]);
    });
}

#[test]
fn what_is_no_place_is_refused_at_once() {
    within(60, || {
        let folder = folder();
        let path = folder.path().join("a");
        for (place, kind) in [
            (folder.path().to_owned(), io::ErrorKind::IsADirectory),
            (folder.path().join("new/"), io::ErrorKind::NotFound),
            (folder.path().join("nowhere/a"), io::ErrorKind::NotFound),
            ("".into(), io::ErrorKind::NotFound),
        ] {
            assert_eq!(write(&place, "text").expect_err("no place").kind(), kind, "{}", place.display());
        }
        // What stands there by the end and didn't before, is left.
        let mut draft = Place::new(&path).and_then(Place::begin).expect("a place");
        draft.write_all(b"text").expect("it is written");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        assert_eq!(draft.finish().expect_err("a pipe by now").kind(), io::ErrorKind::AlreadyExists);
        assert!(fs::metadata(&path).expect("it is there").file_type().is_fifo());
        assert_eq!(names(folder.path()), ["a"]);
    });
}

/// A file that is mounted by itself, as into a container: it can't be renamed to.
#[test]
#[cfg(target_os = "linux")]
fn a_mounted_file_gets_the_new_content() {
    within(60, || {
        let folder = folder();
        let (outside, inside) = (folder.path().join("outside"), folder.path().join("inside"));
        fs::write(&outside, "something long that was there before").expect("a file");
        fs::write(&inside, "").expect("a file");
        let mounted = Command::new("mount").arg("--bind").args([&outside, &inside]).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return crate::skipped("nothing can be mounted here: a file mounted by itself is not tested");
        }
        let written = write(&inside, "new");
        let number = fs::metadata(&outside).expect("it is there").ino();
        let unmounted = Command::new("umount").arg(&inside).status();
        assert!(unmounted.expect("umount").success());
        written.expect("it is written");
        assert_eq!(fs::read_to_string(&outside).expect("text"), "new");
        assert_eq!(fs::metadata(&outside).expect("it is there").ino(), number);
        assert_eq!(names(folder.path()), ["inside", "outside"]);
    });
}
