//! The pool of processes as far as it reads what a worker wrote. The rest of the module is not here.

#[path = "../../../src/process_pool/buffer.rs"]
mod buffer;
#[path = "../../../src/process_pool/dispatch.rs"]
mod dispatch;
#[path = "../../../src/process_pool/frames.rs"]
mod frames;
#[path = "../../../src/process_pool/lane.rs"]
mod lane;
#[path = "../../../src/process_pool/message.rs"]
mod message;
#[path = "../../../src/process_pool/outbound.rs"]
mod outbound;
#[path = "../../../src/process_pool/ring.rs"]
mod ring;
#[path = "../../../src/process_pool/shared.rs"]
mod shared;
#[path = "../../../src/process_pool/sys.rs"]
mod sys;
#[path = "../../../src/process_pool/task.rs"]
mod task;
#[path = "../../../src/process_pool/worker.rs"]
mod worker;

pub(crate) mod mad_worker;
pub(crate) mod messages;
pub(crate) mod stream;
