//! A job: processes that end with it.

use super::Handle;
use super::handle::{check, own_process, owned};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};

/// Its processes end when its last handle is closed: that of the process that made it, however that process ends.
#[derive(Debug)]
pub(super) struct Job(Handle);

impl Job {
    /// With `keeps_children`, what its processes start belongs to it as well.
    pub(super) fn new(keeps_children: bool) -> io::Result<Self> {
        let breakaway = if keeps_children { 0 } else { JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK };
        let mut limits = no_limits();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | breakaway;
        Job::with(&limits)
    }

    fn with(limits: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<Self> {
        // SAFETY: no attributes and no name.
        let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        // SAFETY: it was made just now.
        let job = Job(unsafe { owned(job) }?);
        job.limit(limits)?;
        Ok(job)
    }

    fn limit(&self, limits: &JOBOBJECT_EXTENDED_LIMIT_INFORMATION) -> io::Result<()> {
        let size = size_of_val(limits) as u32;
        // SAFETY: the description that is asked for, as long as it says.
        let set = unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const *limits).cast(),
                size,
            )
        };
        check(set)
    }

    pub(super) fn add(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are open.
        check(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle()) })
    }

    /// Its processes outlive it.
    pub(super) fn release(&self) {
        // Fails only without memory; then they end.
        let _ = self.limit(&no_limits());
    }

    /// Ends all its processes.
    pub(super) fn end(&self, code: u32) -> io::Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { TerminateJobObject(self.0.as_raw_handle(), code) })
    }
}

/// Bounds the memory that this process may have promised to it: an allocation beyond it fails.
pub(super) fn bound_own_memory(bytes: u64) -> io::Result<()> {
    let mut limits = no_limits();
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_PROCESS_MEMORY | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    limits.ProcessMemoryLimit = usize::try_from(bytes).unwrap_or(usize::MAX);
    let job = Job::with(&limits)?;
    // A process stays in its jobs when their handles are closed.
    job.add(own_process())
}

fn no_limits() -> JOBOBJECT_EXTENDED_LIMIT_INFORMATION {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default()
}
