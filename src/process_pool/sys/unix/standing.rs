//! How the scheduler treats a thread.

/// How the scheduler treats a thread: on which processors it runs, by which policy, how nice it is. Threads and processes
/// that a thread starts inherit this.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standing {
    #[cfg(target_os = "linux")]
    processors: Vec<u64>,
    #[cfg(target_os = "linux")]
    attributes: Option<Attributes>,
}

/// The kernel's `struct sched_attr` in its first version.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

#[cfg(target_os = "linux")]
impl Standing {
    /// The calling thread's.
    pub(crate) fn of_this_thread() -> Self {
        // The kernel wants room for as many processors as there might be; this is more than any machine has.
        let mut processors = vec![0_u64; 1024];
        let len = size_of_val(&processors[..]);
        // SAFETY: room for so many bytes; 0 is this thread.
        let got = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, len, processors.as_mut_ptr()) };
        processors.truncate(usize::try_from(got).map_or(0, |got| got / size_of::<u64>()));
        let mut attributes = Attributes::default();
        let (place, size) = (&raw mut attributes, size_of::<Attributes>());
        // SAFETY: room for so many bytes; 0 is this thread.
        let told = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, place, size, 0) } == 0;
        if attributes.policy != libc::SCHED_DEADLINE as u32 {
            // Only this policy has these three; newer kernels put the length of a time slice here.
            (attributes.runtime, attributes.deadline, attributes.period) = (0, 0, 0);
        }
        Standing { processors, attributes: told.then_some(attributes) }
    }

    /// Gives this thread the same, as far as the system allows: without a right to it (`CAP_SYS_NICE`, `ulimit -e`) no thread
    /// becomes less nice than it is.
    pub(crate) fn assume(&self) {
        let now = Standing::of_this_thread();
        if now.processors != self.processors && !self.processors.is_empty() {
            let len = size_of_val(&self.processors[..]);
            // SAFETY: so many bytes are there; 0 is this thread.
            unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, len, self.processors.as_ptr()) };
        }
        if let (Some(wanted), Some(now)) = (self.attributes, now.attributes)
            && wanted != now
        {
            let set = |attributes: Attributes| {
                // SAFETY: a valid description, which says how long it is; 0 is this thread.
                unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) == 0 }
            };
            // If not all of it, the policy at least.
            let _ = set(wanted) || set(Attributes { nice: now.nice.max(wanted.nice), ..wanted });
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Standing {
    pub(crate) fn of_this_thread() -> Self {
        Standing::default()
    }

    pub(crate) fn assume(&self) {}
}
