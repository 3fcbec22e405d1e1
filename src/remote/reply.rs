//! Replies, for whoever stands between the process that runs a parcel and the one that waits: [`Reply`] and
//! [`ReturnAddress`].

use super::codec::{Arrived, Output};
use super::outcome::{self, HEADER, MAGIC};
use super::parcel::number;
use crate::error::{CodecError, Stage, TaskError};
use std::fmt;

/// Whose reply it is: a task of a process, and which attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReturnAddress {
    attempt: u32,
    nonce: u64,
    id: u64,
}

impl ReturnAddress {
    pub(super) fn new(attempt: u32, nonce: u64, id: u64) -> Self {
        ReturnAddress { attempt, nonce, id }
    }

    /// Reads whose reply these bytes are. It says nothing of what is in it.
    ///
    /// # Errors
    ///
    /// If the bytes are no reply.
    pub fn of_reply(reply: &[u8]) -> Result<Self, CodecError> {
        match reply.split_at_checked(HEADER) {
            Some((head, _)) if head[..4] == MAGIC => {
                Ok(ReturnAddress::new((number(head, 0) >> 32) as u32, number(head, 8), number(head, 16)))
            }
            _ => Err(CodecError::new(Stage::DecodeResult, "these bytes are no reply")),
        }
    }

    /// Which attempt it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number of the task in the process that waits for the reply, see [`FutureId::get`](crate::FutureId::get).
    pub fn task(&self) -> u64 {
        self.id
    }

    /// Names the process that waits for the reply among all that ever made parcels.
    pub fn origin(&self) -> u64 {
        self.nonce
    }

    /// The reply for [`Task::complete`](crate::Task::complete): what a pool gave for the parcel, or the error with which the
    /// task ends because it could not be run to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{Task, TaskError, WorkerLost};
    ///
    /// let (mut task, future) = Task::new(|n: u32| n + 1, 41);
    /// let address = task.encode()?.return_address();
    /// let reply = address.reply(Err(TaskError::WorkerLost(WorkerLost::new("node-7"))));
    /// task.complete(&reply);
    /// assert!(matches!(future.result(), Err(TaskError::WorkerLost(lost)) if lost.node() == "node-7"));
    /// # Ok::<(), TaskError>(())
    /// ```
    pub fn reply(self, outcome: Result<Reply, TaskError>) -> Vec<u8> {
        match outcome {
            Ok(Reply { mut bytes }) => {
                bytes[..HEADER].copy_from_slice(&self.head());
                bytes
            }
            Err(error) => {
                let mut bytes = Output::new(self.head().to_vec(), None);
                outcome::write::<()>(Err(error), &mut bytes);
                bytes.into_parts().0
            }
        }
    }

    fn head(self) -> [u8; HEADER] {
        let mut head = [0; HEADER];
        head[..4].copy_from_slice(&MAGIC);
        head[4..8].copy_from_slice(&self.attempt.to_le_bytes());
        head[8..16].copy_from_slice(&self.nonce.to_le_bytes());
        head[16..].copy_from_slice(&self.id.to_le_bytes());
        head
    }
}

/// What running a parcel gave, encoded, without the address of who waits for it: see
/// [`Task::forward`](crate::Task::forward).
pub struct Reply {
    /// With room for the head.
    bytes: Vec<u8>,
}

impl Reply {
    /// Of a whole reply, whoever it is to.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        debug_assert!(bytes.len() >= HEADER, "a reply begins with its head");
        Reply { bytes }
    }

    /// Of an outcome of which nothing lies apart.
    pub(crate) fn of_outcome(outcome: Arrived<'_>) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + outcome.len());
        bytes.resize(HEADER, 0);
        bytes.extend_from_slice(outcome.bytes());
        Reply { bytes }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &(self.bytes.len() - HEADER)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::ReturnAddress;
    use crate::error::{
        Broken, CodecError, Panicked, Rejected, Stage, TaskError, TimeLimit, Unsupported, WorkerDied,
        WorkerLost,
    };
    use crate::remote::outcome;
    use std::time::Duration;

    /// An error as it was, and as it is read at the other end.
    fn carried(error: TaskError) -> (String, String) {
        let address = ReturnAddress::new(3, 7, 9);
        let said = format!("{error:?}");
        let reply = address.reply(Err(error));
        assert_eq!(ReturnAddress::of_reply(&reply).expect("a reply"), address);
        let outcome = outcome::open(&reply, 7, 9).expect("its own");
        (said, format!("{:?}", outcome::read::<()>(outcome).expect_err("an error")))
    }

    #[test]
    fn every_kind_of_error_arrives_as_it_was() {
        let died = WorkerDied::new(4711).with_signal(9).with_cause("out of memory").with_host("node7");
        let lost = WorkerLost::new("node-7").with_silence(Duration::from_millis(1500)).with_cause("cut off");
        let rejections = [
            Rejected::ShutDown,
            Rejected::Full,
            Rejected::NotPortable,
            Rejected::Encoded,
            Rejected::ForeignBuild,
            Rejected::StackSpent,
            Rejected::Unsupported(Unsupported::new("no such thing")),
        ];
        let stages = [
            Stage::EncodeArgument,
            Stage::DecodeArgument,
            Stage::EncodeResult,
            Stage::DecodeResult,
            Stage::Parcel,
        ];
        let errors = [
            TaskError::Cancelled,
            TaskError::Abandoned,
            TaskError::WorkerDied(died),
            TaskError::WorkerDied(WorkerDied::new(1).with_exit_code(-3)),
            TaskError::WorkerLost(lost),
            TaskError::TimeLimit(TimeLimit::new(Duration::from_nanos(12_345_678_901))),
            TaskError::Broken(Broken::new("its initializer failed")),
            TaskError::Panicked(Panicked::new("boom").with_worker("w_1").with_location("a.rs:1:2")),
        ];
        let rejected = rejections.into_iter().map(TaskError::Rejected);
        let codec = stages.into_iter().map(|stage| TaskError::Codec(CodecError::new(stage, "why")));
        for error in errors.into_iter().chain(rejected).chain(codec) {
            let (said, arrived) = carried(error);
            assert_eq!(arrived, said);
        }
    }

    #[test]
    fn what_is_no_reply_has_no_address() {
        for bytes in [&b""[..], b"cfr1", &[0; 24]] {
            assert!(ReturnAddress::of_reply(bytes).is_err());
        }
    }
}
