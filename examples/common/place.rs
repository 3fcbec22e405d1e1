//! A place that a result is written to, whatever stands there: shared by the examples, each of which includes this file.
//!
//! A device, a pipe or the program's own output is written to as it is. A link is followed. Only a regular file, or a name
//! that nothing has yet, gets a new file: it is written beside its place and renamed at the end, so that there is the
//! whole result or what was there before. Nothing else is ever replaced.

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
    /// Takes bytes as they come. It is open from the start: whoever reads from a pipe takes a second opening for the end.
    Stream(File),
    /// A regular file that can't be renamed to: its content is replaced.
    Content(File),
}

impl Place {
    /// Waits, as a shell does, for someone to read from a named pipe.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let is_file_name = !path.as_os_str().is_empty() && !ends_as_folder(path);
        let found = match fs::metadata(path) {
            // Nothing there, or a link to nothing, whose target is made.
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
        // Write protection holds, although a rename would not ask for it.
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

    /// Begins to write. Until `finish` nothing changes at the place.
    pub(crate) fn begin(self) -> io::Result<Draft> {
        Ok(Draft(match self.0 {
            Kind::Name(target) => Begun::Beside(successor(&target)?, target),
            Kind::Stream(to) => Begun::Apart { draft: tempfile::tempfile()?, to, replace: false },
            Kind::Content(to) => Begun::Apart { draft: tempfile::tempfile()?, to, replace: true },
        }))
    }
}

/// A result on its way to its place. Dropped, it leaves nothing behind.
pub(crate) struct Draft(Begun);

enum Begun {
    Beside(NamedTempFile, PathBuf),
    Apart { draft: File, to: File, replace: bool },
}

impl Draft {
    /// The file that must go when the program is left at once.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match &self.0 {
            Begun::Beside(file, _) => Some(file.path()),
            Begun::Apart { .. } => None,
        }
    }

    /// Puts the result in its place. The error's kind is `BrokenPipe` when the place is a pipe and its reader has gone.
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

/// A file beside the target, since a file can be renamed within its file system only; removed when dropped.
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

/// As readable as the file whose place it will take, from the start.
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

/// As `new/` does, where nothing is yet.
fn ends_as_folder(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::path::is_separator)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn rename(file: NamedTempFile, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_ok_and(|found| !found.is_file()) {
        let why = "when the result was ready, something else than a regular file stood there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    file.as_file().sync_all()?; // else a crash could leave the new name with no content
    match file.persist(target) {
        Ok(_) => Ok(()),
        // A file that is mounted by itself, as containers do, can be written to but not renamed to.
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

/// A file's owner and group, where that may be given away.
#[cfg(unix)]
fn keep_owner(file: &File, found: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    // Others than root may not; the file is theirs then.
    let _ = std::os::unix::fs::fchown(file, Some(found.uid()), Some(found.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &fs::Metadata) {}

/// The program's own stdout or stderr, if that is what was found: bytes go behind those that are there already.
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

/// Where a chain of links ends; nowhere when it goes through /proc, where a link is an open file and not a name.
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
