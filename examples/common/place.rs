//! Where a result is written to, whatever kind of file that is. The examples share this file by including it.
//!
//! A device, a pipe or the program's own output is written to directly. A link is followed. Only a regular file, or a name
//! that isn't in use, gets a new file: it is written beside the target and renamed at the end, so that the target has either
//! the whole result or its old content. Nothing else is ever replaced.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A place that can be written to, checked before any work is done for it.
pub(crate) struct Place(Kind);

enum Kind {
    /// A name in a folder, with all links followed.
    Name(PathBuf),
    /// Written to directly. Opened once, at the start: the reader of a pipe would take a second opening for the end.
    Stream(File),
    /// A regular file that can't be renamed to: its content is replaced.
    Content(File),
}

impl Place {
    /// Waits, as a shell does, for someone to read from a named pipe.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let is_file_name = !path.as_os_str().is_empty() && !ends_as_folder(path);
        let found = match fs::metadata(path) {
            // Not in use, or a link to nothing, whose target will be created.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_file_name => None,
            found => Some(found?),
        };
        let Some(found) = found else {
            let target = resolve(path)?.ok_or(io::ErrorKind::NotFound)?;
            temporary(&target)?;
            return Ok(Self(Kind::Name(target)));
        };
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if let Some(own) = own_output(&found)? {
            return Ok(Self(Kind::Stream(own)));
        }
        // A rename would succeed on a write-protected file, which must stay.
        let file = File::options().write(true).open(path)?;
        if !found.is_file() {
            return Ok(Self(Kind::Stream(file)));
        }
        let Some(target) = resolve(path)? else { return Ok(Self(Kind::Content(file))) };
        match temporary(&target) {
            Ok(_) => Ok(Self(Kind::Name(target))),
            // The file is the user's, its folder isn't.
            Err(error) if is_closed(&error) => Ok(Self(Kind::Content(file))),
            Err(error) => Err(error),
        }
    }

    /// Begins to write. The target doesn't change before `finish`.
    pub(crate) fn begin(self) -> io::Result<Draft> {
        Ok(Draft(match self.0 {
            Kind::Name(target) => Begun::Beside(successor(&target)?, target),
            Kind::Stream(to) => Begun::Apart { draft: tempfile::tempfile()?, to, replace: false },
            Kind::Content(to) => Begun::Apart { draft: tempfile::tempfile()?, to, replace: true },
        }))
    }
}

/// A partly written result. Dropping it leaves nothing behind.
pub(crate) struct Draft(Begun);

enum Begun {
    Beside(NamedTempFile, PathBuf),
    Apart { draft: File, to: File, replace: bool },
}

impl Draft {
    /// The file to remove if the program exits at once.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match &self.0 {
            Begun::Beside(file, _) => Some(file.path()),
            Begun::Apart { .. } => None,
        }
    }

    /// Moves the result to its target. The error's kind is `BrokenPipe` if that is a pipe whose reader has closed it.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.0 {
            Begun::Beside(file, target) => rename(file, &target),
            Begun::Apart { mut draft, to, replace } => copy(&mut draft, to, replace),
        }
    }

    fn file(&mut self) -> &mut File {
        match &mut self.0 {
            Begun::Beside(file, _) => file.as_file_mut(),
            Begun::Apart { draft, .. } => draft,
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file().seek(to)
    }
}

/// A file beside the target, because a rename works only within a file system; removed when dropped.
fn temporary(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder(target);
    if target.file_name().is_none() || ends_as_folder(target) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !fs::metadata(folder).is_ok_and(|found| found.is_dir()) {
        let why = format!("there is no folder {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less what the umask takes away
    builder.tempfile_in(folder)
}

/// With the permissions of the file that it will replace, from the start.
fn successor(target: &Path) -> io::Result<NamedTempFile> {
    let file = temporary(target)?;
    if let Ok(found) = fs::metadata(target) {
        keep_owner(file.as_file(), &found);
        file.as_file().set_permissions(found.permissions())?;
    }
    Ok(file)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The error for a name such as `new/` that isn't in use.
fn ends_as_folder(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::path::is_separator)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn rename(file: NamedTempFile, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_ok_and(|found| !found.is_file()) {
        let why = "when the result was ready, the path was no regular file any more";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    file.as_file().sync_all()?; // else a crash could leave the new name with no content
    match file.persist(target) {
        Ok(_) => Ok(()),
        // A single mounted file, as in containers, can be written to but not renamed to.
        Err(error) if error.error.kind() == io::ErrorKind::ResourceBusy => {
            let to = File::options().write(true).open(target)?;
            copy(&mut error.file.as_file(), to, true)
        }
        Err(error) => Err(error.error),
    }
}

fn copy<R: Read + Seek>(from: &mut R, mut to: File, replace: bool) -> io::Result<()> {
    from.seek(SeekFrom::Start(0))?;
    if replace {
        to.set_len(0)?;
    }
    io::copy(from, &mut to)?;
    to.flush()
}

/// Sets a file's owner and group, where that is allowed.
#[cfg(unix)]
fn keep_owner(file: &File, found: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    // Only root may; otherwise the file belongs to the user.
    let _ = std::os::unix::fs::fchown(file, Some(found.uid()), Some(found.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &fs::Metadata) {}

/// The program's own stdout or stderr, if the target is one of them: bytes are appended.
#[cfg(unix)]
fn own_output(found: &fs::Metadata) -> io::Result<Option<File>> {
    use std::os::{fd::AsFd, unix::fs::MetadataExt};
    for own in [io::stdout().as_fd(), io::stderr().as_fd()] {
        let own = File::from(own.try_clone_to_owned()?);
        let is = own.metadata()?;
        if (is.dev(), is.ino()) == (found.dev(), found.ino()) {
            return Ok(Some(own));
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
fn own_output(_: &fs::Metadata) -> io::Result<Option<File>> {
    Ok(None)
}

/// The end of a chain of links; `None` if it goes through /proc, where a link is an open file and not a name.
fn resolve(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut target = path.to_owned();
    // As many as Linux follows.
    for _ in 0..=40 {
        let Ok(next) = fs::read_link(&target) else { return Ok(Some(target)) };
        let folder = folder(&target);
        if fs::canonicalize(folder)?.starts_with("/proc") {
            return Ok(None);
        }
        target = folder.join(next);
    }
    Err(io::Error::other("too many symbolic links"))
}
