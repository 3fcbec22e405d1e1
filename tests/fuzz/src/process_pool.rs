//! The pool of processes as far as it reads what a worker wrote. The rest of the module is not here.

#[path = "../../../src/process_pool/book.rs"]
mod book;
#[path = "../../../src/process_pool/buffer.rs"]
mod buffer;
#[path = "../../../src/process_pool/channel.rs"]
mod channel;
#[path = "../../../src/process_pool/desk.rs"]
mod desk;
#[path = "../../../src/process_pool/door.rs"]
mod door;
#[path = "../../../src/process_pool/message.rs"]
mod message;
#[path = "../../../src/process_pool/page.rs"]
mod page;
#[path = "../../../src/process_pool/record.rs"]
mod record;
#[path = "../../../src/process_pool/ring.rs"]
mod ring;
#[path = "../../../src/process_pool/sys.rs"]
mod sys;
#[path = "../../../src/process_pool/worker.rs"]
mod worker;

pub(crate) mod frames;
pub(crate) mod mad_worker;
pub(crate) mod messages;
