//! The pool of processes as far as it reads what a worker wrote. The rest of the module is not here.

#[path = "."]
mod parent {
    #[path = "../../../src/process_pool/parent/dispatch/mod.rs"]
    pub(crate) mod dispatch;
    #[path = "../../../src/process_pool/parent/lane.rs"]
    pub(crate) mod lane;
    #[path = "../../../src/process_pool/parent/outbound.rs"]
    pub(crate) mod outbound;
    #[path = "../../../src/process_pool/parent/task.rs"]
    pub(crate) mod task;
}
#[path = "../../../src/process_pool/shared/mod.rs"]
mod shared;
#[path = "../../../src/process_pool/sys.rs"]
mod sys;
#[path = "../../../src/process_pool/wire/mod.rs"]
mod wire;

pub(crate) mod frames;
pub(crate) mod mad_worker;
pub(crate) mod messages;
